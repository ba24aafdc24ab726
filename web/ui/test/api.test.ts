import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { api, ApiError, setCsrf, whenLoggedOut, type Workspace } from '../src/api';

interface Call { path: string; method: string; headers: Record<string, string>; body: unknown }
let calls: Call[] = [];

function answer(make: () => Response) {
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    calls.push({ path, method: init.method!, headers: init.headers as Record<string, string>, body: init.body ? JSON.parse(init.body as string) : undefined });
    return make();
  });
}
const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } });
const failure = async (promise: Promise<unknown>) => promise.then(() => null, (error: ApiError) => ({ status: error.status, kind: error.kind, message: error.message }));

beforeEach(() => { calls = []; setCsrf('token'); whenLoggedOut(() => {}); });
afterEach(() => vi.unstubAllGlobals());

it('sends the CSRF token with changes and not with reads', async () => {
  answer(() => json({ items: [] }));
  await api.keys();
  await api.endSession('s1');
  expect(calls.map((call) => call.headers['X-Berth-CSRF'])).toEqual([undefined, 'token']);
  expect(calls[1]).toMatchObject({ path: '/api/v1/sessions/s1', method: 'DELETE' });
});

it('encodes what it puts into paths', async () => {
  answer(() => json({ ended_sessions: 0 }));
  await api.revokeKey('SHA256:a/b+c');
  expect(calls[0]!.path).toBe('/api/v1/keys/SHA256%3Aa%2Fb%2Bc');
});

it('turns an error answer into its kind and sentence', async () => {
  answer(() => json({ error: { kind: 'conflict', message: 'There is a user ada already.' } }, 409));
  expect(await failure(api.addUser('ada', 'user'))).toEqual({ status: 409, kind: 'conflict', message: 'There is a user ada already.' });
  answer(() => new Response('<h1>Bad gateway</h1>', { status: 502 }));
  expect(await failure(api.users())).toEqual({ status: 502, kind: 'internal', message: '' });
  vi.stubGlobal('fetch', async () => { throw new TypeError('no route'); });
  expect(await failure(api.users())).toEqual({ status: 0, kind: 'unreachable', message: '' });
});

it('tells the page when the session is over, but not while it asks who is there', async () => {
  const told = vi.fn();
  whenLoggedOut(told);
  answer(() => json({ error: { kind: 'denied', message: 'Log in first.' } }, 401));
  await failure(api.me());
  expect(told).not.toHaveBeenCalled();
  await failure(api.workspaces());
  expect(told).toHaveBeenCalledOnce();
});

const WORKSPACE = { user: 'ada', name: 'main', state: 'running' } as Workspace;
const stream = (text: string) => new Response(text, { headers: { 'Content-Type': 'text/event-stream' } });

it('reports the progress of a start', async () => {
  answer(() => stream(`event: progress\ndata: {"line":"one"}\n\nevent: progress\ndata: {"line":"two"}\n\nevent: done\ndata: ${JSON.stringify(WORKSPACE)}\n\n`));
  const lines: string[] = [];
  expect(await api.start(WORKSPACE, (line) => lines.push(line))).toEqual(WORKSPACE);
  expect(lines).toEqual(['one', 'two']);
  expect(calls[0]).toMatchObject({ path: '/api/v1/workspaces/ada/main/start', method: 'POST' });
});

it('fails as the server says, or when the stream ends early', async () => {
  answer(() => stream('event: failed\ndata: {"error":{"kind":"unavailable","message":"No space is left."}}\n\n'));
  expect(await failure(api.start(WORKSPACE, () => {}))).toMatchObject({ kind: 'unavailable', message: 'No space is left.' });
  answer(() => stream('event: progress\ndata: {"line":"one"}\n\n'));
  expect(await failure(api.start(WORKSPACE, () => {}))).toMatchObject({ kind: 'closed' });
});
