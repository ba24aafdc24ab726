// Logging in with the SSH key (docs/api.md): a code to approve, or a link that carries a token in its fragment.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError, type LoginCode, type Me } from '../api';
import { clock } from '../format';
import { errorText, useNow } from '../live';
import { Button, Notice, Snippet } from '../parts/basics';
import { LanguageChoice, Mark } from '../parts/frame';
import { t } from '../strings';

// The token of a link, taken out of the address bar at once. In the fragment it reaches neither the server's log nor a Referer.
function takeToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? new URLSearchParams(location.search).get('token');
  if (token) history.replaceState(null, '', '/login');
  return token;
}

export function LoginPage({ me, arrived }: { me: Me | null | undefined; arrived: () => Promise<void> }) {
  const [token, setToken] = useState(takeToken);
  const [linkError, setLinkError] = useState('');
  useEffect(() => { document.title = `${t.login.title} · Berth`; }, []);

  useEffect(() => {  // a link opened in a tab that shows this page already changes only the fragment
    const again = () => { const fresh = takeToken(); if (fresh) setToken(fresh); };
    addEventListener('hashchange', again);
    return () => removeEventListener('hashchange', again);
  }, []);
  useEffect(() => {
    if (!token) return;
    setLinkError('');
    api.loginByLink(token).then(arrived).catch((failure) => {
      const refused = failure instanceof ApiError && ['denied', 'not_found', 'invalid'].includes(failure.kind);
      setLinkError(refused ? t.login.linkFailed : errorText(failure));
      setToken(null);
    });
  }, [token]);
  // Who is logged in already and comes without a link has nothing to do here.
  useEffect(() => { if (me && !token && !linkError) void arrived(); }, [me, token, linkError]);

  return (
    <main class="login">
      <div class="login-card">
        <p class="brand"><Mark />Berth</p>
        {token
          ? <p class="loading" role="status"><span class="spinner" aria-hidden="true" />{t.login.byLink}</p>
          : <>
              {linkError && <Notice kind="error">{linkError}</Notice>}
              {me === undefined ? <p class="soft loading" role="status"><span class="spinner" aria-hidden="true" />{t.loading}</p> : <CodeLogin arrived={arrived} />}
            </>}
      </div>
      <footer class="foot"><span class="soft">{t.login.noKey}</span><LanguageChoice /></footer>
    </main>
  );
}

const POLL_MS = 1500;

function CodeLogin({ arrived }: { arrived: () => Promise<void> }) {
  const [code, setCode] = useState<LoginCode & { until: number }>();
  const [expired, setExpired] = useState(false);
  const [user, setUser] = useState('');
  const [error, setError] = useState('');
  const now = useNow(1000);
  const round = useRef(0);

  const ask = useCallback(async () => {
    round.current++;
    setError('');
    try {
      const fresh = await api.askCode();
      setCode({ ...fresh, until: Date.now() + fresh.expires_in_s * 1000 });
      setExpired(false);
    } catch (failure) {
      setError(errorText(failure));
    }
  }, []);
  useEffect(() => { void ask(); }, []);

  useEffect(() => {
    if (!code || expired) return;
    const mine = round.current;
    let timer: ReturnType<typeof setTimeout>;
    const poll = async () => {
      clearTimeout(timer);
      if (!document.hidden) {
        const state = await api.codeState().catch((failure) => { setError(errorText(failure)); return null; });
        if (mine !== round.current) return;
        if (state) setError('');
        if (state?.state === 'expired') return setExpired(true);
        if (state?.state === 'approved') { setUser(state.user ?? ''); return arrived(); }
      }
      timer = setTimeout(poll, POLL_MS);
    };
    const shown = () => { if (!document.hidden) void poll(); };  // back from the terminal: look at once
    document.addEventListener('visibilitychange', shown);
    timer = setTimeout(poll, POLL_MS);
    return () => { round.current++; clearTimeout(timer); document.removeEventListener('visibilitychange', shown); };
  }, [code, expired]);

  const left = code ? Math.min(code.expires_in_s, (code.until - now) / 1000) : 0;  // `now` lags by up to a second
  const ranOut = expired || (code !== undefined && left <= 0);
  if (user) return <p class="loading" role="status"><span class="spinner" aria-hidden="true" />{t.login.welcome(user)}</p>;
  return (
    <>
      <h1>{t.login.title}</h1>
      <p>{t.login.lead}</p>
      {error && <Notice kind="error">{error}</Notice>}
      {!code && (error ? <Button onClick={ask}>{t.retry}</Button> : <p class="soft loading" role="status"><span class="spinner" aria-hidden="true" />{t.login.askingCode}</p>)}
      {code && (
        <>
          <div class={ranOut ? 'code-box gone' : 'code-box'}>
            <Snippet text={code.command} label={t.login.title} />
            <p class="code"><span class="hidden">{t.login.codeLabel} </span><strong>{code.code}</strong></p>
          </div>
          {ranOut
            ? <div class="status-line"><span role="status">{t.login.expired}</span><Button kind="primary" onClick={ask}>{t.login.newCode}</Button></div>
            : <div class="status-line"><span class="loading" role="status"><span class="spinner" aria-hidden="true" />{t.login.waiting}</span><span class="soft">{t.login.expires(clock(left))}</span></div>}
          <p class="soft">{t.login.compare}</p>
          <hr />
          <h2>{t.login.otherTitle}</h2>
          <p>{t.login.other}</p>
          <Snippet text={code.command.replace('ssh -t ', 'ssh ').replace(/berth approve .*$/, 'berth web')} label={t.login.otherTitle} />
        </>
      )}
    </>
  );
}
