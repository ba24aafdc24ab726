// The portal's frame: mark, navigation at the side (behind a button on a phone), who is logged in.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Me, Role } from '../api';
import { Link } from '../router';
import { language, languages, setLanguage, t } from '../strings';
import { onConnection } from '../stream';
import { Button, Notice, useAction } from './basics';
import { Icon, type IconName } from './icons';

interface NavPage { to: string; name: string; icon: IconName; also?: string }
interface NavGroup { title: string; who: Role[]; pages: NavPage[] }

const EVERYBODY: Role[] = ['user', 'auditor', 'admin'];
const GROUPS: NavGroup[] = [
  { title: t.nav.work, who: EVERYBODY, pages: [
    { to: '/', name: t.nav.home, icon: 'home' },
    { to: '/terminal', name: t.nav.terminal, icon: 'terminal', also: '/terminal/' },
    { to: '/environments', name: t.nav.environments, icon: 'layers', also: '/environments/' },
    { to: '/connect', name: t.nav.connect, icon: 'connect' },
  ] },
  { title: t.nav.access, who: EVERYBODY, pages: [
    { to: '/keys', name: t.nav.keys, icon: 'key' },
    { to: '/sessions', name: t.nav.sessions, icon: 'pulse' },
    { to: '/logins', name: t.nav.logins, icon: 'door' },
  ] },
  { title: t.nav.admin, who: ['auditor', 'admin'], pages: [
    { to: '/admin', name: t.nav.overview, icon: 'gauge' },
    { to: '/admin/users', name: t.nav.users, icon: 'users', also: '/admin/users/' },
    { to: '/admin/keys', name: t.nav.allKeys, icon: 'list' },
    { to: '/admin/campaign', name: t.nav.campaign, icon: 'rotate' },
    { to: '/admin/sessions', name: t.nav.allSessions, icon: 'pulse' },
    { to: '/admin/environments', name: t.nav.allEnvironments, icon: 'layers', also: '/admin/environments/' },
    { to: '/admin/audit', name: t.nav.audit, icon: 'shield' },
    { to: '/admin/settings', name: t.nav.settings, icon: 'sliders' },
  ] },
];

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect class="ground" width="32" height="32" rx="8" />
      <path class="ship" d="M7 19h18l-2.4 5.2a2 2 0 0 1-1.8 1.2h-9.6a2 2 0 0 1-1.8-1.2z" />
      <path class="sail" d="M15 5.5v11H8.2z" />
      <path class="ship" d="M17 8v8.5h6.2z" />
    </svg>
  );
}

export function LanguageChoice() {
  return (
    <label class="language">
      <span class="hidden">{t.language}</span>
      <select value={language} onChange={(event) => setLanguage(event.currentTarget.value)}>
        {languages.map(({ code, name }) => <option key={code} value={code}>{name}</option>)}
      </select>
    </label>
  );
}

function Navigation({ me, path }: { me: Me; path: string }) {
  const isCurrent = ({ to, also }: NavPage) => path === to || (also !== undefined && path.startsWith(also));
  return (
    <nav class="nav" id="nav" aria-label={t.menu}>
      {GROUPS.filter(({ who }) => who.includes(me.user.role)).map(({ title, pages }) => (
        <div class="nav-group" key={title}>
          <p class="nav-title">{title}</p>
          <ul>{pages.map((page) => (
            <li key={page.to}><Link to={page.to} current={isCurrent(page)}><Icon name={page.icon} />{page.name}</Link></li>
          ))}</ul>
        </div>
      ))}
    </nav>
  );
}

// Shown while the page hears nothing from the server: what it shows may be old.
function Offline() {
  const [lost, setLost] = useState(false);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = onConnection((connected) => {
      clearTimeout(timer);
      if (connected) setLost(false);
      else timer = setTimeout(() => { if (!document.hidden) setLost(true); }, 4000);  // each page's beginning is not a loss
    });
    return () => { stop(); clearTimeout(timer); };
  }, []);
  return lost ? <p class="offline" role="status"><span class="spinner" aria-hidden="true" />{t.offline}</p> : null;
}

interface FrameProps { me: Me; path: string; logOut: () => Promise<void>; wide?: boolean; children: ComponentChildren }

export function Frame({ me, path, logOut, wide, children }: FrameProps) {
  const main = useRef<HTMLElement>(null);
  const leaving = useAction();
  const first = useRef(true);
  const [open, setOpen] = useState(false);
  useEffect(() => {  // a new page begins at its top for the keyboard and the screen reader as well
    setOpen(false);
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [path]);
  useEffect(() => {
    if (!open) return;
    const escape = (event: KeyboardEvent) => { if (event.key === 'Escape') setOpen(false); };
    addEventListener('keydown', escape);
    return () => removeEventListener('keydown', escape);
  }, [open]);
  return (
    <div class={`frame${open ? ' nav-open' : ''}`}>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>{t.skip}</a>
      <header class="side">
        <div class="side-head">
          <Link to="/" class="brand"><Mark />Berth</Link>
          <button type="button" class="button quiet menu" aria-expanded={open} aria-controls="nav" aria-label={t.menu} onClick={() => setOpen(!open)}><Icon name="menu" /></button>
        </div>
        <Navigation me={me} path={path} />
        <div class="who">
          <div class="two"><span class="name">{me.user.name}</span><span class="soft">{t.role[me.user.role]}</span></div>
          <Button kind="quiet" onClick={() => leaving.run(logOut)}>{t.logOut}</Button>
        </div>
        <div class="side-foot soft"><span>Berth {me.version}</span><LanguageChoice /></div>
      </header>
      <main id="main" ref={main} tabIndex={-1} class={wide ? 'wide' : undefined}>
        {leaving.error && <Notice kind="error">{leaving.error}</Notice>}
        {children}
      </main>
      <Offline />
    </div>
  );
}
