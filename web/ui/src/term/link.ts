// The page's end of a terminal's WebSocket (docs/api.md, "Terminals"): opens or attaches, counts what has been shown, acknowledges it, and attaches
// again after a loss. It knows nothing of how a terminal is drawn.
import { query } from '../api';
import { backoff } from '../stream';

export interface TerminalId { user: string; workspace: string; id: string | null; watch?: boolean }  // watch: only looks
export type LinkState =
  | { is: 'connecting'; lines: string[] } | { is: 'open' } | { is: 'lost'; attempt: number }
  | { is: 'ended'; how: string } | { is: 'failed'; kind: string; message: string } | { is: 'logged_out' };

export interface LinkEvents {
  state: (state: LinkState) => void;
  // restore: what is shown has a gap (or nothing is shown yet): begin anew with these sequences. null: go on.
  opened: (id: string, restore: string | null, size: { columns: number; rows: number }) => void;
  output: (bytes: Uint8Array, shown: () => void) => void;  // call `shown` when it is on the screen
  size: (columns: number, rows: number) => void;
  title: (title: string) => void;
}

const ACK_BYTES = 128 * 1024;
const MOST_LINES = 50;

// What a closed socket means for the page. 1000 comes after an exit that has been told; what is not ours to repeat is a failure.
export function afterClose(code: number): 'ended' | 'logged_out' | 'failed' | 'again' {
  if (code === 1000) return 'ended';
  if (code === 1008) return 'logged_out';
  return code === 1002 || code === 1009 || code === 1011 ? 'failed' : 'again';
}

export class TerminalLink {
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private at = 0;        // offset of what the next binary message begins with
  private shown = 0;     // offset of what is on the screen
  private acknowledged = 0;
  private attempt = 0;
  private begun = false;  // something has been shown
  private asked: number | null = null;  // the offset that the present connection asked for
  private final: LinkState | null = null;
  private lines: string[] = [];
  private stopped = false;
  private readonly online = () => this.retry();

  constructor(private readonly terminal: TerminalId, private readonly csrf: string, private size: { columns: number; rows: number },
              private readonly events: LinkEvents) {}

  start() {
    addEventListener('online', this.online);
    this.connect();
  }

  // Lets go of the terminal, which goes on running.
  stop() {
    this.stopped = true;
    removeEventListener('online', this.online);
    clearTimeout(this.timer);
    this.socket?.close();
  }

  type(bytes: Uint8Array<ArrayBuffer>) { if (this.socket?.readyState === 1 && !this.terminal.watch) this.socket.send(bytes); }
  resize(columns: number, rows: number) {
    this.size = { columns, rows };
    if (!this.terminal.watch) this.say({ type: 'resize', columns, rows });
  }
  end() { this.say({ type: 'end' }); }

  // Tries at once instead of waiting.
  retry() {
    if (this.stopped || this.socket) return;
    clearTimeout(this.timer);
    this.connect();
  }

  private say(message: object) { if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(message)); }

  private connect() {
    const { user, workspace, id, watch } = this.terminal;
    const path = `/api/v1/workspaces/${encodeURIComponent(user)}/${encodeURIComponent(workspace)}/terminal`;
    const from = this.asked = this.begun ? this.shown : null;
    this.lines = [];
    if (this.attempt === 0) this.events.state({ is: 'connecting', lines: [] });
    const socket = new WebSocket(`wss://${location.host}${path}${query({ ...this.size, id, from, watch: watch || undefined })}`, ['berth.terminal.1', `berth.csrf.${this.csrf}`]);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => { if (socket === this.socket) typeof data === 'string' ? this.hear(data) : this.take(new Uint8Array(data as ArrayBuffer)); };
    socket.onclose = ({ code }) => { if (socket === this.socket) this.closed(code); };
    this.socket = socket;
  }

  private take(bytes: Uint8Array) {
    const end = this.at += bytes.length;
    this.begun = true;
    this.events.output(bytes, () => {
      this.shown = end;
      if (end - this.acknowledged < ACK_BYTES) return;
      this.acknowledged = end;
      this.say({ type: 'ack', at: end });
    });
  }

  private hear(text: string) {
    const message = JSON.parse(text) as Record<string, unknown>;
    if (message.type === 'progress') {
      this.lines = [...this.lines, String(message.line)].slice(-MOST_LINES);
      this.events.state({ is: 'connecting', lines: this.lines });
    } else if (message.type === 'opened') {
      this.opened(String(message.id), Number(message.from), String(message.restore ?? ''), { columns: Number(message.columns), rows: Number(message.rows) });
      this.events.title(String(message.title ?? ''));
    } else if (message.type === 'title') {
      this.events.title(String(message.title));
    } else if (message.type === 'size') {
      this.events.size(Number(message.columns), Number(message.rows));
    } else if (message.type === 'exit') {
      this.final = { is: 'ended', how: message.signal ? String(message.signal) : String(message.code ?? 0) };
    } else if (message.type === 'error') {
      this.final = { is: 'failed', kind: String(message.kind), message: String(message.message) };
    }
  }

  private opened(id: string, from: number, restore: string, size: { columns: number; rows: number }) {
    this.terminal.id = id;
    this.at = this.shown = this.acknowledged = from;
    this.attempt = 0;
    this.events.opened(id, from === this.asked ? null : restore, size);
    this.events.state({ is: 'open' });
  }

  private closed(code: number) {
    this.socket = null;
    if (this.stopped) return;
    const next = this.final ? 'final' : afterClose(code);
    if (next === 'final') return this.events.state(this.final!);
    if (next === 'ended') return this.events.state({ is: 'ended', how: '' });
    if (next === 'logged_out') return this.events.state({ is: 'logged_out' });
    if (next === 'failed') return this.events.state({ is: 'failed', kind: 'protocol', message: '' });
    this.events.state({ is: 'lost', attempt: this.attempt });
    this.timer = setTimeout(() => this.connect(), backoff(this.attempt++));
  }
}
