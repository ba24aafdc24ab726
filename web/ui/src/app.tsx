// Who is looking decides what is shown: the login page, or the portal with its navigation.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError, setCsrf, whenLoggedOut, type Me } from './api';
import { errorText } from './live';
import { Button, Notice, Page } from './parts/basics';
import { Frame } from './parts/frame';
import { KeyNotices } from './parts/notices';
import { AllKeysPage } from './pages/all_keys';
import { AuditPage } from './pages/audit';
import { CampaignPage } from './pages/campaign';
import { ConnectPage } from './pages/connect';
import { AllEnvironmentsPage, EnvironmentPage, EnvironmentsPage } from './pages/environments';
import { HomePage } from './pages/home';
import { KeysPage } from './pages/keys';
import { LoginPage } from './pages/login';
import { LoginsPage } from './pages/logins';
import { OverviewPage } from './pages/overview';
import { AllSessionsPage, SessionsPage } from './pages/sessions';
import { SettingsPage } from './pages/settings';
import { TerminalPage } from './pages/terminal';
import { WatchPage } from './pages/watch';
import { UserPage } from './pages/user';
import { UsersPage } from './pages/users';
import { Link, navigate, usePath } from './router';
import { safeReturnPath } from './format';
import { onChange } from './stream';
import { t } from './strings';

type Access = 'user' | 'auditor' | 'admin';
interface Route { path: RegExp; who: Access; wide?: boolean; page: (me: Me, parts: string[]) => preact.JSX.Element }

const ROUTES: Route[] = [
  { path: /^\/$/, who: 'user', page: (me) => <HomePage me={me} /> },
  { path: /^\/terminal(?:\/([a-z][a-z0-9_-]*))?$/, who: 'user', wide: true, page: (me, [name]) => <TerminalPage me={me} key={name ?? 'main'} workspace={name ?? 'main'} /> },
  { path: /^\/connect$/, who: 'user', page: (me) => <ConnectPage me={me} /> },
  { path: /^\/environments$/, who: 'user', page: (me) => <EnvironmentsPage me={me} /> },
  { path: /^\/environments\/([^/]+)$/, who: 'user', page: (me, [name]) => <EnvironmentPage key={name} owner={me.user.name} name={decodeURIComponent(name!)} back="/environments" own /> },
  { path: /^\/environments\/team\/([^/]+)$/, who: 'user', page: (_me, [name]) => <EnvironmentPage key={`team/${name}`} owner="team" name={decodeURIComponent(name!)} back="/environments" own /> },
  { path: /^\/keys$/, who: 'user', page: (me) => <KeysPage me={me} /> },
  { path: /^\/sessions$/, who: 'user', page: (me) => <SessionsPage me={me} /> },
  { path: /^\/logins$/, who: 'user', page: () => <LoginsPage /> },
  { path: /^\/admin$/, who: 'auditor', page: (me) => <OverviewPage me={me} /> },
  { path: /^\/admin\/users$/, who: 'auditor', page: (me) => <UsersPage me={me} /> },
  { path: /^\/admin\/users\/([^/]+)$/, who: 'auditor', page: (me, [name]) => <UserPage me={me} key={name} name={decodeURIComponent(name!)} /> },
  { path: /^\/admin\/keys$/, who: 'auditor', page: (me) => <AllKeysPage me={me} /> },
  { path: /^\/admin\/campaign$/, who: 'auditor', page: (me) => <CampaignPage me={me} /> },
  { path: /^\/admin\/sessions$/, who: 'auditor', page: (me) => <AllSessionsPage me={me} /> },
  { path: /^\/admin\/watch\/([^/]+)\/([^/]+)$/, who: 'admin', wide: true, page: (_, [user, name]) => <WatchPage user={decodeURIComponent(user!)} workspace={decodeURIComponent(name!)} /> },
  { path: /^\/admin\/environments$/, who: 'auditor', page: () => <AllEnvironmentsPage /> },
  { path: /^\/admin\/environments\/([^/]+)\/([^/]+)$/, who: 'auditor', page: (_, [owner, name]) =>
    <EnvironmentPage key={`${owner}/${name}`} owner={decodeURIComponent(owner!)} name={decodeURIComponent(name!)} back="/admin/environments" /> },
  { path: /^\/admin\/audit$/, who: 'auditor', page: () => <AuditPage /> },
  { path: /^\/admin\/settings$/, who: 'auditor', page: () => <SettingsPage /> },
];

const RANK = { user: 0, auditor: 1, admin: 2 };

function Routed({ me, path }: { me: Me; path: string }) {
  for (const route of ROUTES) {
    const parts = path.match(route.path);
    if (!parts) continue;
    if (RANK[me.user.role] < RANK[route.who]) return <Page title={t.denied.title}><p>{t.denied.text}</p></Page>;
    return route.page(me, parts.slice(1));
  }
  return <Page title={t.notFound.title}><p>{t.notFound.text} <Link to="/">{t.notFound.home}</Link></p></Page>;
}

// Leads to the login page, which comes back to where one was.
function toLogin() {
  if (location.pathname === '/login') return;
  const here = location.pathname + location.search;
  navigate(here === '/' ? '/login' : `/login?next=${encodeURIComponent(here)}`, true);
}

export function App() {
  const path = usePath();
  const [me, setMe] = useState<Me | null>();  // undefined: not known yet
  const [error, setError] = useState('');

  // A "not logged in" from before a login may come after it: only the newest question counts.
  const round = useRef(0);
  const load = async () => {
    const mine = ++round.current;
    try {
      const fresh = await api.me();
      if (mine !== round.current) return false;
      setCsrf(fresh.csrf);
      setMe(fresh);
      setError('');
      return true;
    } catch (failure) {
      if (mine !== round.current) return false;
      if (failure instanceof ApiError && failure.status === 401) setMe(null);
      else setError(errorText(failure));
      return false;
    }
  };

  useEffect(() => {
    whenLoggedOut(() => { setCsrf(''); setMe(null); });
    void load();
  }, []);
  useEffect(() => { if (me === null) toLogin(); }, [me, path]);
  // Another role, or the end of the login, shows at once.
  const user = me?.user.name;
  useEffect(() => user ? onChange(['me'], () => void load()) : undefined, [user]);

  // Another origin's path (/w/…) is answered by the server with a redirect, so it needs a real navigation.
  const arrive = async () => {
    const to = safeReturnPath(new URLSearchParams(location.search).get('next'), location.origin);
    if (!(await load())) return;
    if (to.startsWith('/w/') || to.startsWith('/berth-cross?')) location.replace(to);
    else navigate(to, true);
  };
  const logOut = async () => {
    await api.logout();
    setCsrf('');
    setMe(null);
    navigate('/login');
  };

  if (path === '/login' || path === '/login/link') return <LoginPage me={me} arrived={arrive} />;
  if (error && !me) return <main class="alone"><Notice kind="error"><span>{error}</span> <Button onClick={load}>{t.retry}</Button></Notice></main>;
  if (!me) return <main class="alone"><p class="soft loading" role="status"><span class="spinner" aria-hidden="true" />{t.loading}</p></main>;
  return <Frame me={me} path={path} logOut={logOut} wide={ROUTES.some((route) => route.wide && route.path.test(path))}><KeyNotices path={path} /><Routed me={me} path={path} /></Frame>;
}
