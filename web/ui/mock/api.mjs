// An in-memory stand-in for the portal's API (docs/api.md), for working on the pages without a berthd: `npm run dev`.
// Nothing of it is in the build. The page code is approved after a few seconds; the log-in link token is "demo".
const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const FINGERPRINT = 'SHA256:Zk9wXg1r2lqv8c0tYhJ6mUuN4sB7dEo3iRaPfKx5QwT';
const key = (user, comment, over = {}) => ({ fingerprint: FINGERPRINT.replace('Zk9', comment.slice(0, 3)), user, type: 'ssh-ed25519', comment, state: 'active', refusal: null, notice: null,
  added_at: ago(8640000), expires_at: null, ends_at: over.expires_at ?? null, superseded_at: null, successor: null, retire_on_first_use: false, revoked_at: null, last_used_at: ago(312), last_used_from: '203.0.113.7', ...over });
const workspace = (user, name, over = {}) => ({ user, name, state: 'stopped', image: 'localhost/berth-default:1', detail: '', created_at: ago(950000),
  started_at: null, jupyter_url: `/w/${user}/${name}/jupyter/lab`, ...over });
const session = (id, kind, detail, over = {}) => ({ id, user: 'ada', workspace: 'main', kind, detail, key_fingerprint: FINGERPRINT, client_address: '203.0.113.7:51514',
  opened_at: ago(5400), closed_at: null, bytes_in: 18231, bytes_out: 5401223, outcome: '', ...over });

function freshState() {
  return {
    role: process.env.BERTH_MOCK_ROLE ?? 'admin', loggedIn: process.env.BERTH_MOCK_LOGGED_OUT === undefined, askedAt: 0,
    workspaces: [
      workspace('ada', 'main', { state: 'running', started_at: ago(273900) }), workspace('ada', 'nlp'),
      workspace('ada', 'vision', { state: 'failed', detail: 'The image registry.example/vision:3 is not on this machine. Ask the administrator to add it.' }),
      workspace('grace', 'main', { state: 'running', started_at: ago(4100) }), workspace('linus', 'main', { state: 'starting', detail: 'Making the container' }),
    ],
    keys: [key('ada', 'ada@laptop'), key('ada', 'desktop of the lab', { type: 'ecdsa-sha2-nistp256', notice: 'campaign', last_used_at: ago(2000000), expires_at: ago(-2600000) }),
      key('ada', 'old-laptop', { state: 'revoked', revoked_at: ago(99999), last_used_at: null, last_used_from: '' }), key('ada', 'yubikey', { type: 'sk-ssh-ed25519@openssh.com', state: 'superseded', ends_at: ago(-400000), retire_on_first_use: true }), key('grace', 'grace@mbp')],
    campaign: { id: 1, state: 'running', started_at: ago(400000), started_by: 'ada', older_than_s: 90 * 86400, deadline_at: ago(-1900000), action: 'supersede',
      message: 'Please move to hardware keys where you can.', ended_at: null, total: 3, done: 1, items: [
        { user: 'grace', done: true, done_at: ago(90000), keys: [{ fingerprint: FINGERPRINT, comment: 'grace@mbp', added_at: ago(20000000), state: 'superseded', done: true }] },
        { user: 'ada', done: false, done_at: null, keys: [{ fingerprint: FINGERPRINT, comment: 'desktop of the lab', added_at: ago(9640000), state: 'active', done: false }] },
        { user: 'linus', done: false, done_at: null, keys: [{ fingerprint: FINGERPRINT, comment: 'linus@sun', added_at: ago(39640000), state: 'active', done: false }] }] },
    users: [{ name: 'ada', role: 'admin', disabled: false, created_at: ago(9000000) }, { name: 'grace', role: 'user', disabled: false, created_at: ago(800000) },
      { name: 'linus', role: 'user', disabled: true, created_at: ago(700000) }],
    sessions: [session('s7f3k2', 'shell', ''), session('s7f3k3', 'exec', 'python train.py --epochs 90 --data /home/ada/datasets/imagenet-subset --resume checkpoints/last.pt', { opened_at: ago(61), workspace: 'nlp' }),
      session('s7f3k4', 'tunnel', 'localhost:6006', { bytes_out: 88123456789 }), session('s9', 'sftp', '', { user: 'grace', client_address: '[2001:db8::7]:40122' })],
    webSessions: [
      { id: 'w1', user: 'ada', key_fingerprint: FINGERPRINT, address: '203.0.113.7', created_at: ago(7200), last_seen_at: ago(2), expires_at: ago(-36000), current: true,
        user_agent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36' },
      { id: 'w2', user: 'ada', key_fingerprint: FINGERPRINT, address: '198.51.100.20', created_at: ago(72000), last_seen_at: ago(30000), expires_at: ago(-3600), current: false,
        user_agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1' }],
    tokens: [],
    shares: [{ id: 'p1', owner: 'ada', workspace: 'main', port: 8501, with: 'grace', url: 'https://8501--main--ada.apps.gpu-box.example.org/', created_at: ago(900), expires_at: ago(-80000) },
      { id: 'p2', owner: 'grace', workspace: 'main', port: 6006, with: null, url: 'https://6006--main--grace.apps.gpu-box.example.org/', created_at: ago(9000), expires_at: ago(-8000) }],
    audit: [['-', 'ssh.login', 'ada', 'unknown key'], ['ada', 'ssh.login', 'ada', 'ok'], ['ada', 'web.login', 'w1', 'ok'], ['admin-socket', 'key.add', 'grace SHA256:gra9wXg1r2l', 'ok'],
      ['ada', 'workspace.start', 'ada/main', 'ok']].map(([actor, action, object, outcome], i) => ({ number: i + 1, at: ago(9000 - i * 1000), actor,
      source: actor === 'admin-socket' ? 'unix' : '203.0.113.7', key_fingerprint: '', action, object, outcome, hash: `${i}`.repeat(64) })),
  };
}

class Refusal extends Error { constructor(status, kind, message) { super(message); Object.assign(this, { status, kind }); } }
const notFound = () => { throw new Refusal(404, 'not_found', 'There is no such thing.'); };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const items = (list) => ({ items: list });

const findWorkspace = (state, user, name) => state.workspaces.find((w) => w.user === user && w.name === name);
const userView = (state, user) => ({ ...user, keys: state.keys.filter((k) => k.user === user.name).length });

async function start(state, { params: [user, name], response, wantsEvents }) {
  let w = findWorkspace(state, user, name);
  if (!w) state.workspaces.push(w = workspace(user, name, { created_at: null }));
  Object.assign(w, { state: 'starting', detail: '' });
  const send = (event, data) => wantsEvents && response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  if (wantsEvents) response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  for (const line of ['Starting your workspace…', 'Making the container from localhost/berth-default:1', 'Mounting your home', 'Waiting for the workspace to answer']) {
    send('progress', { line });
    await sleep(700);
  }
  const failed = name.startsWith('fail');
  Object.assign(w, failed ? { state: 'failed', detail: 'No space is left on the disk.' } : { state: 'running', started_at: ago(0), created_at: w.created_at ?? ago(0) });
  if (failed && !wantsEvents) throw new Refusal(503, 'unavailable', w.detail);
  send(failed ? 'failed' : 'done', failed ? { error: { kind: 'unavailable', message: w.detail } } : w);
  if (wantsEvents) return void response.end();
  return w;
}

const stopped = async (state, { params: [user, name] }) => { await sleep(600); return Object.assign(findWorkspace(state, user, name) ?? notFound(), { state: 'stopped', started_at: null }); };

// Five minutes of something between calm and busy.
const wave = (seed, low, high) => Array.from({ length: 60 }, (_, i) => low + (high - low) * (0.5 + 0.35 * Math.sin(i / 7 + seed) + 0.15 * Math.sin(i * 1.7 + seed)));
const usage = (s) => ({ tick: 1, first: true, every_s: 5, points: 60,
  workspaces: s.workspaces.filter((w) => w.state === 'running').map(({ user, name }, i) => ({ user, name, cpus: 8, memory_limit: 32 * 2 ** 30, cpu: wave(i, 0.1, 5), memory: wave(i + 2, 3e9, 14e9) })),
  box: { cpus: 32, memory_limit: 270e9, cpu: wave(1, 2, 22), memory: wave(3, 60e9, 120e9), load: wave(2, 3, 15), gpus: [] } });

const streams = new Set();
const changed = (...topics) => streams.forEach((stream) => stream.write(`event: changed\ndata: ${JSON.stringify({ topics })}\n\n`));

const ROUTES = [
  ['GET', 'me', (s) => ({ user: { name: 'ada', role: s.role }, csrf: 'mock', session: s.webSessions[0], ssh_host: 'gpu-box.example.org', ssh_port: 2222, workspace_origin: '', sharing: true, version: '0.1.0' })],
  ['POST', 'login/link', (s, { body }) => { if (body.token !== 'demo') throw new Refusal(401, 'denied', 'This link has been used or has run out.'); s.loggedIn = true; return { user: 'ada' }; }],
  ['POST', 'login/code', (s) => { s.askedAt = Date.now(); return { code: 'BDGH-2345', expires_in_s: 300, command: 'ssh -t -p 2222 gpu-box.example.org berth approve BDGH-2345' }; }],
  ['GET', 'login/code', (s) => { const ok = Date.now() - s.askedAt > 8000 && process.env.BERTH_MOCK_NO_APPROVAL === undefined; if (ok) s.loggedIn = true; return ok ? { state: 'approved', user: 'ada' } : { state: 'pending' }; }],
  ['POST', 'logout', (s) => { s.loggedIn = false; return {}; }],
  ['GET', 'web-sessions', (s) => items(s.webSessions)],
  ['DELETE', 'web-sessions/:', (s, { params: [id] }) => { s.webSessions = s.webSessions.filter((w) => w.id !== id); if (id === 'w1') s.loggedIn = false; return {}; }],
  ['GET', 'workspaces', (s, { query }) => items(query.get('user') ? s.sessions.filter((x) => x.user === query.get('user')) : query.get('all') ? s.workspaces : s.workspaces.filter((w) => w.user === 'ada'))],
  ['POST', 'workspaces/:/:/start', start],
  ['POST', 'workspaces/:/:/stop', stopped],
  ['POST', 'workspaces/:/:/reset', stopped],
  ['DELETE', 'workspaces/:/:', (s, { params: [user, name] }) => { s.workspaces = s.workspaces.filter((w) => w.user !== user || w.name !== name); return {}; }],
  ['GET', 'tokens', (s) => items(s.tokens)],
  ['POST', 'tokens', (s, { body }) => { const token = { id: `t${s.tokens.length + 1}`, name: body.name, user: 'ada', key_fingerprint: FINGERPRINT, scopes: body.scopes, state: 'active',
    created_at: ago(0), expires_at: ago(-body.lifetime_s), revoked_at: null, last_used_at: null, last_used_from: '' }; s.tokens.push(token); return { secret: 'berth_mock_Zk9wXg1r2lqv8c0tYhJ6mUuN4sB7dEo3', token }; }],
  ['DELETE', 'tokens/:', (s, { params: [id] }) => Object.assign(s.tokens.find((x) => x.id === id) ?? notFound(), { state: 'revoked', revoked_at: ago(0) })],
  ['GET', 'policy/keys', () => ({ allowed_types: ['ssh-ed25519', 'sk-ssh-ed25519@openssh.com', 'ecdsa-sha2-nistp256', 'rsa'], min_rsa_bits: 3072, max_age_s: 365 * 86400, warn_before_s: 14 * 86400,
    grace_s: 7 * 86400, max_per_user: 10, require_hardware: false, require_touch: false, self_service: ['list', 'add', 'rotate', 'remove'] })],
  ['GET', 'notices', () => items([{ kind: 'campaign', text: 'Please move to hardware keys where you can.', key_fingerprint: FINGERPRINT, until: ago(-1900000), successor: null, current: true }])],
  ['GET', 'keys/:/impact', (s, { params: [fingerprint] }) => { const k = s.keys.find((x) => x.fingerprint === fingerprint) ?? notFound();
    return { key: k, sessions: s.sessions.filter((x) => x.user === k.user), web_sessions: k.user === 'ada' ? s.webSessions : [], uses_30d: 41, addresses: [{ address: '203.0.113.7', uses: 41, last_at: ago(312) }],
      other_keys: s.keys.filter((x) => x.user === k.user && x !== k && x.state === 'active'), keeps_access: s.keys.filter((x) => x.user === k.user && x !== k && x.state === 'active').length > 0 }; }],
  ['POST', 'users/:/keys/rotate', (s, { params: [user], body }) => { const old = s.keys.find((k) => k.fingerprint === body.replaces) ?? notFound();
    const fresh = key(user, body.public_key.split(' ')[2] ?? 'new', { added_at: ago(0), last_used_at: null, last_used_from: '' }); s.keys.push(fresh);
    Object.assign(old, { state: 'superseded', ends_at: ago(-(body.grace_s ?? 0)), successor: fresh.fingerprint, retire_on_first_use: body.retire_on_first_use }); changed('keys'); return { key: fresh, superseded: [old] }; }],
  ['GET', 'campaign', (s) => ({ campaign: s.campaign })],
  ['POST', 'campaign', (s, { body }) => { const made = { ...s.campaign, ...body, state: 'running', done: 0, items: s.campaign.items.map((i) => ({ ...i, done: false })) }; if (!body.dry_run) { s.campaign = made; changed('campaign'); } return made; }],
  ['DELETE', 'campaign', (s) => { changed('campaign'); return Object.assign(s.campaign, { state: 'ended', ended_at: ago(0) }); }],
  ['GET', 'settings', () => items([{ key: 'ssh.listen', value: ['0.0.0.0:2222'], default: ['0.0.0.0:2222'], comment: 'Addresses for SSH.' }, { key: 'ssh.max_startups', value: 200, default: 100, comment: 'Connections that have not logged in yet; more are closed.' },
    { key: 'web.public_url', value: '', default: '', comment: 'What users type into the browser, when another proxy stands before.' }])],
  ['GET', 'keys', (s, { query }) => query.get('all') ? items(s.keys.filter((k) => !query.get('state') || k.state === query.get('state')).filter((k) => [k.user, k.comment, k.fingerprint].join(' ').includes(query.get('q') ?? ''))) : items(s.keys.filter((k) => k.user === 'ada'))],
  ['GET', 'shares', (s) => items(s.shares)],
  ['GET', 'host-keys', () => ({ known_hosts: '', sshfp: '', items: [{ fingerprint: 'SHA256:hQ0Zk9wXg1r2lqv8c0tYhJ6mUuN4sB7dEo3iRaPfKx5', type: 'ssh-ed25519', state: 'active', created_at: ago(9000000), retires_at: ago(-900000) },
    { fingerprint: 'SHA256:nExTk9wXg1r2lqv8c0tYhJ6mUuN4sB7dEo3iRaPfKx5', type: 'ssh-ed25519', state: 'next', created_at: ago(90000), retires_at: null }] })],
  ['GET', 'authorities', () => items([{ name: 'corp', type: 'ssh-ed25519', fingerprint: 'SHA256:cAcAk9wXg1r2lqv8c0tYhJ6mUuN4sB7dEo3iRaPfKx5', principals: ['%u@corp.example'], issues: false, added_at: ago(900000), revoked: 12 }])],
  ['GET', 'events', (s, { response, query }) => new Promise((resolve) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('event: ready\ndata: {}\n\n');
    if (query.get('usage')) response.write(`event: usage\ndata: ${JSON.stringify(usage(s))}\n\n`);
    streams.add(response);
    response.on('close', () => { streams.delete(response); resolve(); });
  })],
  ['DELETE', 'keys/:', (s, { params: [fingerprint] }) => { Object.assign(s.keys.find((k) => k.fingerprint === fingerprint) ?? notFound(), { state: 'revoked', revoked_at: ago(0) }); return { ended_sessions: 2 }; }],
  ['POST', 'users/:/keys', (s, { params: [user], body }) => {
    const [type, , comment] = body.public_key.split(' ');
    if (!type.startsWith('ssh-')) throw new Refusal(400, 'invalid', 'This is no public key: it begins with a type such as ssh-ed25519.');
    const added = key(user, comment ?? 'key', { type, added_at: ago(0), last_used_at: null, last_used_from: '', expires_at: body.expires_at ?? null });
    s.keys.push(added);
    return added;
  }],
  ['GET', 'users', (s, { query }) => items(s.users.filter((u) => u.name.includes(query.get('q') ?? '')).map((u) => userView(s, u)))],
  ['GET', 'users/:', (s, { params: [name] }) => ({ ...userView(s, s.users.find((u) => u.name === name) ?? notFound()), key_list: s.keys.filter((k) => k.user === name) })],
  ['POST', 'users', (s, { body }) => { if (s.users.some((u) => u.name === body.name)) throw new Refusal(409, 'conflict', `There is a user ${body.name} already.`);
    const user = { name: body.name, role: body.role, disabled: false, created_at: ago(0) }; s.users.push(user); return userView(s, user); }],
  ['PATCH', 'users/:', (s, { params: [name], body }) => userView(s, Object.assign(s.users.find((u) => u.name === name) ?? notFound(), body))],
  ['DELETE', 'users/:', (s, { params: [name] }) => { s.users = s.users.filter((u) => u.name !== name); return {}; }],
  ['GET', 'sessions', (s, { query }) => items(query.get('user') ? s.sessions.filter((x) => x.user === query.get('user')) : query.get('all') ? [...s.sessions, session('s1', 'exec', 'true', { closed_at: ago(900), outcome: 'exit 0' })] : s.sessions)],
  ['DELETE', 'sessions/:', (s, { params: [id] }) => { s.sessions = s.sessions.filter((x) => x.id !== id); return { ended: 1 }; }],
  ['GET', 'status', (s) => ({ version: '0.1.0', uptime_s: 273912, lanes: 2, users: s.users.length, keys: s.keys.length, live_sessions: s.sessions.length, cpus: 32, load: [11.31, 9.2, 8.8], memory_total: 270000000000, memory_available: 181000000000,
    workspaces_running: s.workspaces.filter((w) => w.state === 'running').length, ssh_address: '0.0.0.0:2222', web_address: '0.0.0.0:8443' })],
  ['GET', 'audit', (s) => items(s.audit)],
  ['GET', 'audit/verify', () => ({ ok: true })],
].map(([method, path, act]) => ({ method, act, pattern: new RegExp(`^/api/v1/${path.replaceAll(':', '([^/]+)')}$`) }));

async function readBody(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : {};
}

export function mockApi() {
  const state = freshState();
  return async (request, response, next) => {
    const url = new URL(request.url, 'http://localhost');
    if (!url.pathname.startsWith('/api/v1/')) return next();
    const answer = (status, body) => { response.writeHead(status, { 'Content-Type': 'application/json' }); response.end(JSON.stringify(body)); };
    try {
      const open = url.pathname.startsWith('/api/v1/login/');
      if (!open && !state.loggedIn) throw new Refusal(401, 'denied', 'Log in first.');
      if (!open && request.method !== 'GET' && request.headers['x-berth-csrf'] !== 'mock') throw new Refusal(403, 'denied', 'The CSRF token is missing.');
      for (const { method, pattern, act } of ROUTES) {
        const match = method === request.method && url.pathname.match(pattern);
        if (!match) continue;
        const params = match.slice(1).map(decodeURIComponent);
        const wantsEvents = request.headers.accept === 'text/event-stream';
        if (method !== 'GET') setTimeout(() => changed('workspaces', 'sessions', 'keys', 'users', 'web_sessions', 'campaign', 'tokens', 'audit'), 50);
        const body = await act(state, { params, query: url.searchParams, body: await readBody(request), response, wantsEvents });
        return response.headersSent ? undefined : answer(200, body);
      }
      notFound();
    } catch (error) {
      answer(error.status ?? 500, { error: { kind: error.kind ?? 'internal', message: error.message } });
    }
  };
}
