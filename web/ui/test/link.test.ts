import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { afterClose, TerminalLink, type LinkState } from '../src/term/link';

class FakeSocket {
  static all: FakeSocket[] = [];
  readyState = 1;
  binaryType = '';
  sent: (string | Uint8Array)[] = [];
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  constructor(readonly url: string, readonly protocols: string[]) { FakeSocket.all.push(this); }
  send(data: string | Uint8Array) { this.sent.push(data); }
  close() { this.readyState = 3; }
  say(message: object) { this.onmessage!({ data: JSON.stringify(message) }); }
  bytes(count: number) { this.onmessage!({ data: new ArrayBuffer(count) }); }
  lose(code: number) { this.readyState = 3; this.onclose!({ code }); }
}

const last = () => FakeSocket.all[FakeSocket.all.length - 1]!;
let states: LinkState[], restores: (string | null)[], shown: (() => void)[];

function begin(id: string | null = null, watch = false) {
  states = []; restores = []; shown = [];
  const link = new TerminalLink({ user: 'ada', workspace: 'main', id, watch }, 'TOKEN', { columns: 100, rows: 30 }, {
    state: (state) => states.push(state), opened: (_id, restore) => restores.push(restore), output: (_bytes, done) => shown.push(done), size: () => {}, title: () => {},
  });
  link.start();
  return link;
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  vi.stubGlobal('WebSocket', FakeSocket);
  vi.stubGlobal('location', { host: 'box:8443' });
  vi.stubGlobal('addEventListener', () => {});
  vi.stubGlobal('removeEventListener', () => {});
});
afterEach(() => { vi.useRealTimers(); vi.unstubAllGlobals(); });

it('opens a new terminal with the token as a subprotocol', () => {
  begin();
  expect(last().url).toBe('wss://box:8443/api/v1/workspaces/ada/main/terminal?columns=100&rows=30');
  expect(last().protocols).toEqual(['berth.terminal.1', 'berth.csrf.TOKEN']);
  last().say({ type: 'progress', line: 'Starting' });
  expect(states.at(-1)).toEqual({ is: 'connecting', lines: ['Starting'] });
  last().say({ type: 'opened', id: 't1', from: 0, new: true });
  expect(states.at(-1)).toEqual({ is: 'open' });
});

it('attaches again after a loss, from what was on the screen', () => {
  begin();
  last().say({ type: 'opened', id: 't1', from: 0 });
  last().bytes(700);
  last().bytes(300);
  shown[0]!();  // the second part had not been drawn yet
  last().lose(1006);
  expect(states.at(-1)).toEqual({ is: 'lost', attempt: 0 });
  vi.advanceTimersByTime(60_000);
  expect(last().url).toContain('&id=t1&from=700');
  last().say({ type: 'opened', id: 't1', from: 700 });
  expect(restores).toEqual(['', null]);
  last().lose(1001);
  vi.advanceTimersByTime(60_000);
  last().say({ type: 'opened', id: 't1', from: 900, restore: '\x1b[?1049h' });  // the server no longer has all of it
  expect(restores.at(-1)).toBe('\x1b[?1049h');
});

it('only looks when it watches', () => {
  const link = begin('t1', true);
  expect(last().url).toContain('&id=t1&watch=1');
  last().say({ type: 'opened', id: 't1', from: 0, columns: 90, rows: 20 });
  link.type(new Uint8Array([120]));
  link.resize(50, 10);
  expect(last().sent).toEqual([]);
});

it('acknowledges what is on the screen, not what has come', () => {
  begin('t1');
  last().say({ type: 'opened', id: 't1', from: 1000 });
  last().bytes(200_000);
  expect(last().sent).toEqual([]);
  shown[0]!();
  expect(last().sent).toEqual([JSON.stringify({ type: 'ack', at: 201_000 })]);
});

it('does not come back after an exit, an error or the end of the login', () => {
  const ends: [object | null, number, string][] = [
    [{ type: 'exit', code: 3 }, 1000, 'ended'], [{ type: 'error', kind: 'not_found', message: 'gone' }, 1011, 'failed'], [null, 1008, 'logged_out'], [null, 1009, 'failed'],
  ];
  for (const [message, code, is] of ends) {
    begin();
    const sockets = FakeSocket.all.length;
    if (message) last().say(message);
    last().lose(code);
    expect(states.at(-1)!.is).toBe(is);
    vi.advanceTimersByTime(120_000);
    expect(FakeSocket.all.length).toBe(sockets);
  }
});

it('lets go for good when it is stopped', () => {
  const link = begin();
  link.stop();
  last().lose(1006);
  vi.advanceTimersByTime(120_000);
  expect(FakeSocket.all.length).toBe(1);
});

it('knows close codes', () => {
  expect([1000, 1001, 1006, 1008, 1011].map(afterClose)).toEqual(['ended', 'again', 'again', 'logged_out', 'failed']);
});
