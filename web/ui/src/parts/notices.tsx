// What the user should do about keys, on every page until it is done; the server's whole sentence where it can be done.
import { api } from '../api';
import { day } from '../format';
import { useLive } from '../live';
import { Link } from '../router';
import { t } from '../strings';
import { Fingerprint, Notice } from './basics';

export function KeyNotices({ path }: { path: string }) {
  const { data } = useLive(api.notices, ['keys', 'campaign', 'me']);
  if (!data || data.length === 0) return null;
  return (
    <div class="notices">
      {data.map((notice) => (
        <Notice kind="warn" key={`${notice.kind} ${notice.key_fingerprint}`}>
          <span class="grow">{t.notice[notice.kind]} <Fingerprint value={notice.key_fingerprint} />{notice.until && <> · {t.notice.until} <strong>{day(notice.until)}</strong></>}{path === '/keys' && <><br /><span class="soft">{notice.text}</span></>}</span>
          {path !== '/keys' && <Link to="/keys">{t.notice.act}</Link>}
        </Notice>
      ))}
    </div>
  );
}
