// The HTTP API of the portal (docs/api.md): typed requests, one error type, the CSRF token on every change.
import { readEvents } from './sse';

export type Role = 'user' | 'auditor' | 'admin';
export type WorkspaceState = 'stopped' | 'starting' | 'running' | 'stopping' | 'failed';
export type KeyState = 'active' | 'superseded' | 'expired' | 'revoked';
export type Time = string | null;

export interface Me {
  user: { name: string; role: Role };
  csrf: string;
  session: WebSession;
  ssh_host: string;
  ssh_port: number;
  workspace_origin: string;
  version: string;
}
export interface WebSession {
  id: string; user: string; key_fingerprint: string; address: string; user_agent: string;
  created_at: Time; last_seen_at: Time; expires_at: Time; current?: boolean;
}
export interface Workspace {
  user: string; name: string; state: WorkspaceState; image: string; detail: string;
  created_at: Time; started_at: Time; jupyter_url: string;
}
export interface Key {
  fingerprint: string; user: string; type: string; comment: string; state: KeyState;
  added_at: Time; expires_at: Time; revoked_at: Time; last_used_at: Time; last_used_from: string;
}
export interface User { name: string; role: Role; disabled: boolean; created_at: Time; keys: number }
export interface Session {
  id: string; user: string; workspace: string; kind: string; detail: string; key_fingerprint: string; client_address: string;
  opened_at: Time; closed_at: Time; bytes_in: number; bytes_out: number; outcome: string;
}
export interface Status {
  version: string; uptime_s: number; lanes: number; users: number; keys: number; live_sessions: number;
  workspaces_running: number; ssh_address: string; web_address: string;
}
export interface AuditRow {
  number: number; at: Time; actor: string; source: string; key_fingerprint: string; action: string; object: string;
  outcome: string; hash: string;
}
export interface LoginCode { code: string; expires_in_s: number; command: string }
export interface LoginState { state: 'pending' | 'approved' | 'expired'; user?: string }

export class ApiError extends Error {
  constructor(readonly status: number, readonly kind: string, message: string) {
    super(message);
  }
}

let csrf = '';
let onLoggedOut: () => void = () => {};
export function setCsrf(token: string) { csrf = token; }
// Called when a request is answered 401 though the page believed to be logged in.
export function whenLoggedOut(then: () => void) { onLoggedOut = then; }

export interface RequestOptions { body?: unknown; accept?: string; signal?: AbortSignal; quiet?: boolean }

async function send(method: string, path: string, options: RequestOptions): Promise<Response> {
  const headers: Record<string, string> = { Accept: options.accept ?? 'application/json' };
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET' && csrf) headers['X-Berth-CSRF'] = csrf;
  const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' };
  if (options.body !== undefined) init.body = JSON.stringify(options.body);
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch('/api/v1' + path, init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, 'unreachable', '');
  }
  if (response.ok) return response;
  const error = await errorOf(response);
  if (response.status === 401 && !options.quiet) onLoggedOut();
  throw error;
}

async function errorOf(response: Response): Promise<ApiError> {
  let error: { kind?: unknown; message?: unknown } | undefined;
  try {
    error = (await response.json())?.error;
  } catch { /* a proxy in between may answer with a page of its own */ }
  const kind = typeof error?.kind === 'string' ? error.kind : 'internal';
  return new ApiError(response.status, kind, typeof error?.message === 'string' ? error.message : '');
}

async function request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(method, path, options);
  const text = await response.text();
  return (text ? JSON.parse(text) : {}) as T;
}

async function list<T>(path: string): Promise<T[]> {
  return (await request<{ items: T[] }>('GET', path)).items;
}

const part = encodeURIComponent;
const workspacePath = (w: { user: string; name: string }) => `/workspaces/${part(w.user)}/${part(w.name)}`;

// Starts a workspace; `progress` gets each line while that goes on. Answers the running workspace.
async function startWorkspace(workspace: { user: string; name: string }, progress: (line: string) => void): Promise<Workspace> {
  const response = await send('POST', workspacePath(workspace) + '/start', { accept: 'text/event-stream' });
  if (!response.headers.get('Content-Type')?.startsWith('text/event-stream') || !response.body) return response.json();
  for await (const event of readEvents(response.body)) {
    const data = JSON.parse(event.data);
    if (event.name === 'progress') progress(String(data.line));
    if (event.name === 'done') return data as Workspace;
    if (event.name === 'failed') {
      const error = data.error ?? data;
      throw new ApiError(502, String(error.kind ?? 'internal'), String(error.message ?? ''));
    }
  }
  throw new ApiError(0, 'closed', '');
}

export const api = {
  me: () => request<Me>('GET', '/me', { quiet: true }),
  loginByLink: (token: string) => request<{ user: string }>('POST', '/login/link', { body: { token }, quiet: true }),
  askCode: () => request<LoginCode>('POST', '/login/code', { quiet: true }),
  codeState: () => request<LoginState>('GET', '/login/code', { quiet: true }),
  logout: () => request<object>('POST', '/logout'),

  webSessions: () => list<WebSession>('/web-sessions'),
  endWebSession: (id: string) => request<object>('DELETE', `/web-sessions/${part(id)}`),

  workspaces: () => list<Workspace>('/workspaces'),
  allWorkspaces: () => list<Workspace>('/workspaces?all=1'),
  start: startWorkspace,
  stop: (w: Workspace) => request<Workspace>('POST', workspacePath(w) + '/stop'),
  reset: (w: Workspace) => request<Workspace>('POST', workspacePath(w) + '/reset'),
  remove: (w: Workspace) => request<object>('DELETE', workspacePath(w)),

  keys: () => list<Key>('/keys'),
  revokeKey: (fingerprint: string) => request<{ ended_sessions: number }>('DELETE', `/keys/${part(fingerprint)}`),

  sessions: () => list<Session>('/sessions'),
  allSessions: (history: boolean) => list<Session>(history ? '/sessions?all=1&limit=200' : '/sessions'),
  endSession: (id: string) => request<{ ended: number }>('DELETE', `/sessions/${part(id)}`),

  users: () => list<User>('/users'),
  user: (name: string) => request<User & { key_list: Key[] }>('GET', `/users/${part(name)}`),
  addUser: (name: string, role: Role) => request<User>('POST', '/users', { body: { name, role } }),
  setDisabled: (name: string, disabled: boolean) => request<User>('PATCH', `/users/${part(name)}`, { body: { disabled } }),
  setRole: (name: string, role: Role) => request<User>('PATCH', `/users/${part(name)}`, { body: { role } }),
  removeUser: (name: string) => request<object>('DELETE', `/users/${part(name)}`),
  addKey: (user: string, public_key: string, expires_at: string | null) =>
    request<Key>('POST', `/users/${part(user)}/keys`, { body: expires_at ? { public_key, expires_at } : { public_key } }),

  status: () => request<Status>('GET', '/status'),
  audit: (limit: number) => list<AuditRow>(`/audit?limit=${limit}`),
  verifyAudit: () => request<{ ok: boolean; first_broken?: number }>('GET', '/audit/verify'),
};
