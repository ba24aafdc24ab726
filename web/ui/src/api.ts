// The HTTP API of the portal (docs/api.md): typed requests, one error type, the CSRF token on every change.
import type {
  ApiToken, AuditRow, Authority, BuildProgress, Campaign, DiskUse, Environment, EnvironmentDetail, HostKeys, ImageChoice, Key, KeyImpact, KeyNotice, KeyPolicy, ListedPackage, LoginCode, LoginState, Me, Paged, Plan, PlanDiff, Role, Session, SettingRow, Share, Status, Terminal, User, WebSession, Workspace,
} from './model';
import { readEvents } from './sse';

export type * from './model';


export class ApiError extends Error {
  constructor(readonly status: number, readonly kind: string, message: string) {
    super(message);
  }
}

let csrf = '';
let onLoggedOut: () => void = () => {};
export function setCsrf(token: string) { csrf = token; }
export function getCsrf(): string { return csrf; }
// Called when a request is answered 401 though the page believed to be logged in.
export function whenLoggedOut(then: () => void) { onLoggedOut = then; }

export interface RequestOptions { body?: unknown; accept?: string; signal?: AbortSignal; quiet?: boolean }

export async function send(method: string, path: string, options: RequestOptions): Promise<Response> {
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

// "?a=1&b=x" of what is set.
export function query(values: Record<string, string | number | boolean | null | undefined>): string {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '' && value !== false);
  return set.length ? '?' + set.map(([name, value]) => `${name}=${part(value === true ? '1' : String(value))}`).join('&') : '';
}
const environmentPath = (e: { user: string; name: string }) => `/environments/${part(e.user)}/${part(e.name)}`;
const workspacePath = (w: { user: string; name: string }) => `/workspaces/${part(w.user)}/${part(w.name)}`;

// An action that tells its progress, a line each time, and builds of environments figures with it. Answers what it was done with.
async function streamed<T>(path: string, body: unknown, progress: (line: string, event: BuildProgress) => void): Promise<T> {
  const response = await send('POST', path, { accept: 'text/event-stream', ...(body !== undefined && { body }) });
  if (!response.headers.get('Content-Type')?.startsWith('text/event-stream') || !response.body) return response.json();
  for await (const event of readEvents(response.body)) {
    const data = JSON.parse(event.data);
    if (event.name === 'progress') progress(String(data.line), data);
    if (event.name === 'done') return data as T;
    if (event.name === 'failed') {
      const error = data.error ?? data;
      throw new ApiError(502, String(error.kind ?? 'internal'), String(error.message ?? ''));
    }
  }
  throw new ApiError(0, 'closed', '');
}

export interface RotateKey { public_key: string; replaces?: string; grace_s?: number; retire_on_first_use?: boolean }
export interface StartCampaign { older_than_s: number; deadline_s: number; action: 'supersede' | 'expire'; message?: string; dry_run?: boolean }

type Told = (line: string, event: BuildProgress) => void;
const PAGE = 100;

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
  start: (w: { user: string; name: string }, progress: (line: string) => void) => streamed<Workspace>(workspacePath(w) + '/start', undefined, progress),
  stop: (w: Workspace) => request<Workspace>('POST', workspacePath(w) + '/stop'),
  reset: (w: Workspace) => request<Workspace>('POST', workspacePath(w) + '/reset'),
  remove: (w: Workspace) => request<object>('DELETE', workspacePath(w)),

  shares: () => list<Share>('/shares'),
  share: (workspace: string, port: number, visitor: string, lifetime_s: number) => request<Share>('POST', '/shares', { body: { workspace, port, with: visitor, lifetime_s } }),
  endShare: (id: string) => request<Share>('DELETE', `/shares/${part(id)}`),

  tokens: () => list<ApiToken>('/tokens'),
  makeToken: (name: string, scopes: string[], lifetime_s: number) => request<{ secret: string; token: ApiToken }>('POST', '/tokens', { body: { name, scopes, lifetime_s } }),
  revokeToken: (id: string) => request<ApiToken>('DELETE', `/tokens/${part(id)}`),
  authorities: () => list<Authority>('/authorities'),
  hostKeys: () => request<HostKeys>('GET', '/host-keys', { quiet: true }),
  terminals: (user: string, name: string) => list<Terminal>(workspacePath({ user, name }) + '/terminals'),

  keys: () => list<Key>('/keys'),
  searchKeys: (q: string, state: string, after?: string | number | null) =>
    request<Paged<Key>>('GET', '/keys' + query({ all: true, q, state, limit: PAGE, after })),
  keyPolicy: () => request<KeyPolicy>('GET', '/policy/keys'),
  notices: () => list<KeyNotice>('/notices'),
  impact: (fingerprint: string) => request<KeyImpact>('GET', `/keys/${part(fingerprint)}/impact`),
  rotateKey: (user: string, body: RotateKey) => request<{ key: Key; superseded: Key[] }>('POST', `/users/${part(user)}/keys/rotate`, { body }),
  revokeKey: (fingerprint: string) => request<{ ended_sessions: number }>('DELETE', `/keys/${part(fingerprint)}`),

  sessions: () => list<Session>('/sessions'),
  allSessions: (history: boolean) => list<Session>(history ? '/sessions?all=1&limit=200' : '/sessions'),
  sessionsOf: (user: string) => list<Session>('/sessions' + query({ user })),
  endSession: (id: string) => request<{ ended: number }>('DELETE', `/sessions/${part(id)}`),

  users: (q = '', after?: string | number | null) => request<Paged<User>>('GET', '/users' + query({ q, limit: PAGE, after })),
  user: (name: string) => request<User & { key_list: Key[] }>('GET', `/users/${part(name)}`),
  addUser: (name: string, role: Role) => request<User>('POST', '/users', { body: { name, role } }),
  setDisabled: (name: string, disabled: boolean) => request<User>('PATCH', `/users/${part(name)}`, { body: { disabled } }),
  setRole: (name: string, role: Role) => request<User>('PATCH', `/users/${part(name)}`, { body: { role } }),
  removeUser: (name: string) => request<object>('DELETE', `/users/${part(name)}`),
  addKey: (user: string, public_key: string, expires_at: string | null) =>
    request<Key>('POST', `/users/${part(user)}/keys`, { body: expires_at ? { public_key, expires_at } : { public_key } }),

  environments: () => list<Environment>('/environments'),
  allEnvironments: () => list<Environment>('/environments?all=1'),
  environment: (user: string, name: string) => request<EnvironmentDetail>('GET', environmentPath({ user, name })),
  planEnvironment: (user: string, name: string, yaml: string, progress: Told) => streamed<Plan>(environmentPath({ user, name }) + '/plan', { yaml }, progress),
  installEnvironment: (user: string, name: string, plan: string, progress: Told) => streamed<Environment>(environmentPath({ user, name }) + '/install', { plan }, progress),
  rollback: (e: Environment, revision: number) => request<Environment>('POST', environmentPath(e) + '/rollback', { body: { revision } }),
  setDefaultEnvironment: (e: Environment, value: boolean) => request<Environment>('POST', environmentPath(e) + '/default', { body: { default: value } }),
  shareEnvironment: (e: Environment, progress: (line: string) => void) => streamed<Environment>(environmentPath(e) + '/share', {}, progress),
  addMaintainer: (e: Environment, user: string) => request<Environment>('POST', `${environmentPath(e)}/maintainers/${part(user)}`),
  removeMaintainer: (e: Environment, user: string) => request<Environment>('DELETE', `${environmentPath(e)}/maintainers/${part(user)}`),
  environmentsUsed: () => request<DiskUse>('GET', '/environments-used'),
  packages: async (e: Environment, revision: number) => (await request<{ package_list: ListedPackage[] }>('GET', `${environmentPath(e)}/revisions/${revision}`)).package_list,
  environmentDiff: (e: Environment, from: number, to: number) => request<PlanDiff>('GET', environmentPath(e) + '/diff' + query({ from, to })),
  workspaceImage: (w: Workspace) => request<ImageChoice>('GET', workspacePath(w) + '/image'),
  chooseImage: (w: Workspace, image: string) => request<ImageChoice>('POST', workspacePath(w) + '/image', { body: { image } }),
  removeEnvironment: (e: Environment) => request<object>('DELETE', environmentPath(e)),

  campaign: async () => (await request<{ campaign: Campaign | null }>('GET', '/campaign')).campaign,
  startCampaign: (body: StartCampaign) => request<Campaign>('POST', '/campaign', { body }),
  endCampaign: () => request<Campaign>('DELETE', '/campaign'),

  status: () => request<Status>('GET', '/status'),
  settings: () => list<SettingRow>('/settings'),
  audit: (limit: number) => list<AuditRow>(`/audit?limit=${limit}`),
  verifyAudit: () => request<{ ok: boolean; first_broken?: number }>('GET', '/audit/verify'),
};
