// The portal's frame: mark, navigation, who is logged in.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Me } from '../api';
import { Link } from '../router';
import { language, languages, setLanguage, t } from '../strings';
import { Button, Notice, useAction } from './basics';

const PAGES = [
  { to: '/', name: t.nav.home, who: ['user', 'auditor', 'admin'] },
  { to: '/keys', name: t.nav.keys, who: ['user', 'auditor', 'admin'] },
  { to: '/sessions', name: t.nav.sessions, who: ['user', 'auditor', 'admin'] },
];
const ADMIN_PAGES = [
  { to: '/admin', name: t.nav.overview, who: ['admin'] },
  { to: '/admin/users', name: t.nav.users, who: ['admin'] },
  { to: '/admin/sessions', name: t.nav.allSessions, who: ['auditor', 'admin'] },
  { to: '/admin/audit', name: t.nav.audit, who: ['auditor', 'admin'] },
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

function NavList({ pages, me, path }: { pages: typeof PAGES; me: Me; path: string }) {
  const isCurrent = (to: string) => path === to || (to === '/admin/users' && path.startsWith('/admin/users/'));
  return <>{pages.filter((page) => page.who.includes(me.user.role)).map((page) => (
    <li key={page.to}><Link to={page.to} current={isCurrent(page.to)}>{page.name}</Link></li>
  ))}</>;
}

export function Frame({ me, path, logOut, children }: { me: Me; path: string; logOut: () => Promise<void>; children: ComponentChildren }) {
  const main = useRef<HTMLElement>(null);
  const leaving = useAction();
  const first = useRef(true);
  useEffect(() => {  // a new page begins at its top for the keyboard and the screen reader as well
    if (!first.current) main.current?.focus();
    first.current = false;
    document.querySelector('.nav a[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [path]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>{t.skip}</a>
      <header class="top">
        <Link to="/" class="brand"><Mark />Berth</Link>
        <nav class="nav" aria-label={t.menu}>
          <ul>
            <NavList pages={PAGES} me={me} path={path} />
            {me.user.role !== 'user' && <li class="divider" aria-hidden="true">{t.nav.admin}</li>}
            <NavList pages={ADMIN_PAGES} me={me} path={path} />
          </ul>
        </nav>
        <div class="who">
          <span class="name" title={t.role[me.user.role]}>{me.user.name}</span>
          <Button kind="quiet" onClick={() => leaving.run(logOut)}>{t.logOut}</Button>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {leaving.error && <Notice kind="error">{leaving.error}</Notice>}
        {children}
      </main>
      <footer class="foot"><span>Berth {me.version}</span><LanguageChoice /></footer>
    </>
  );
}
