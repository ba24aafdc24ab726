// The records of the HTTP API (docs/api.md).
export type Role = 'user' | 'auditor' | 'admin';
export type WorkspaceState = 'stopped' | 'starting' | 'running' | 'stopping' | 'failed';
export type KeyState = 'active' | 'superseded' | 'expired' | 'revoked';
export type Time = string | null;
export type Topic = 'me' | 'workspaces' | 'sessions' | 'keys' | 'users' | 'web_sessions' | 'campaign' | 'certificates' | 'tokens' | 'environments' | 'audit' | 'shares';

export interface Me {
  user: { name: string; role: Role };
  csrf: string;
  session: WebSession;
  ssh_host: string;
  ssh_port: number;
  workspace_origin: string;
  sharing?: boolean;
  watching?: boolean;  // may look at others' terminals
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
export interface Share {
  id: string; owner: string; workspace: string; port: number; with: string | null; url: string | null; created_at: Time; expires_at: Time;
}
export interface Key {
  fingerprint: string; user: string; type: string; comment: string; state: KeyState;
  refusal?: string | null; notice?: 'expires_soon' | 'superseded' | 'campaign' | null;
  added_at: Time; expires_at: Time; ends_at?: Time; superseded_at?: Time; successor?: string | null; retire_on_first_use?: boolean;
  revoked_at: Time; last_used_at: Time; last_used_from: string;
}
export interface KeyPolicy {
  allowed_types: string[]; min_rsa_bits: number; max_age_s: number; warn_before_s: number; grace_s: number; max_per_user: number;
  require_hardware: boolean; require_touch: boolean; self_service: ('list' | 'add' | 'rotate' | 'remove')[];
}
export interface KeyNotice { kind: 'superseded' | 'expires_soon' | 'campaign'; text: string; key_fingerprint: string; until: Time; successor: string | null; current: boolean }
export interface KeyImpact {
  key: Key; sessions: Session[]; web_sessions: WebSession[]; uses_30d: number;
  addresses: { address: string; uses: number; last_at: Time }[]; other_keys: Key[]; keeps_access: boolean;
}
export interface KeyExceptions {
  max_age_s?: number; max_per_user?: number; min_rsa_bits?: number; allowed_types?: string[]; allow_software?: boolean; allow_untouched?: boolean;
  until?: Time; reason?: string; set_by?: string; set_at?: Time;
}
export interface User { name: string; role: Role; disabled: boolean; created_at: Time; keys: number; key_exceptions?: KeyExceptions | null; forwards?: Record<string, string[]> | null }
export interface Paged<T> { items: T[]; next?: string | number | null }
export interface Campaign {
  id: number; state: 'running' | 'done' | 'ended'; started_at: Time; started_by: string; older_than_s: number; deadline_at: Time;
  action: 'supersede' | 'expire'; message: string; ended_at: Time; total: number; done: number;
  items: { user: string; done: boolean; done_at: Time; keys: { fingerprint: string; comment: string; added_at: Time; state: KeyState; done: boolean }[] }[];
}
export interface Session {
  id: string; user: string; workspace: string; kind: string; detail: string; key_fingerprint: string; certificate?: string; client_address: string;
  opened_at: Time; closed_at: Time; bytes_in: number; bytes_out: number; outcome: string;
}
export interface HostKey { fingerprint: string; type: string; state?: 'active' | 'next'; created_at?: Time; retires_at?: Time }
export interface HostKeys { items: HostKey[]; known_hosts: string; sshfp: string }
export interface Authority { name: string; type: string; fingerprint: string; principals: string[]; issues: boolean; added_at: Time; revoked: number }
export interface Terminal {
  id: string; title: string; command: string; columns: number; rows: number; started_at: Time; detached_since: Time; attached: number; ended: boolean; bytes: number;
}
export interface Status {
  version: string; uptime_s: number; lanes: number; users: number; keys: number; live_sessions: number;
  workspaces_running: number | null; ssh_address: string; web_address: string;
  cpus?: number; load?: [number, number, number] | null; memory_total?: number | null; memory_available?: number | null;
}
export interface AuditRow {
  number: number; at: Time; actor: string; source: string; key_fingerprint: string; action: string; object: string;
  outcome: string; hash: string;
}
export interface SettingRow { key: string; value: string; default: string; given: boolean; comment: string }
export interface LoginCode { code: string; expires_in_s: number; command: string }
export interface LoginState { state: 'pending' | 'approved' | 'expired'; user?: string }

interface Package { name: string; version: string; build: string; kind: 'conda' | 'pip' }
export interface PlanDiff { added: Package[]; removed: Package[]; changed: { name: string; kind: string; from: Package; to: Package; direction: 'up' | 'down' | 'rebuilt' }[] }
export interface Environment {
  user: string; name: string; default: boolean; revision: number | null; revisions: number; lock_hash: string; path: string; packages: number; size_bytes: number;
  created_at: Time; updated_at: Time;
  scope: 'personal' | 'team'; maintainers: string[]; may_change: boolean; verification: { at: Time; result: 'ok' | 'changed' | 'failed'; detail: string } | null;
}
export interface DiskUse { user: string; used_bytes: number; quota_bytes: number | null }
export interface ListedPackage { name: string; version: string; build: string; channel: string; size_bytes: number; kind: 'conda' | 'pip' }
export interface ImageChoice { chosen: string; restart: boolean; items: { name: string; description: string; image: string; glibc: string | null; chosen: boolean; warnings: string[] }[] }
export interface Revision { number: number; packages: number; size_bytes: number; created_at: Time; created_by: string; current: boolean }
export interface EnvironmentDetail extends Environment { yaml: string; revision_list: Revision[] }
export interface BuildProgress { phase?: string; line: string; done?: number; total?: number; bytes?: number; bytes_total?: number; bytes_per_s?: number; left_s?: number | null }
export interface Plan { plan: string; packages: number; download_bytes: number; diff: PlanDiff; unchanged: boolean; warnings: string[] }

export interface ApiToken {
  id: string; name: string; user: string; key_fingerprint: string; scopes: string[]; state: 'active' | 'expired' | 'revoked' | 'dead';
  created_at: Time; expires_at: Time; revoked_at: Time; last_used_at: Time; last_used_from: string;
}
