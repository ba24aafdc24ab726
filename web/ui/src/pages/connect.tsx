// How to reach a workspace by SSH from one's own computer: what to paste where, for the shell, editors, files and ports.
import { api, type Me } from '../api';
import { codeLink, hostAlias, sshCommand, sshConfig } from '../format';
import { useLive } from '../live';
import { Loading, Notice, Page, Snippet } from '../parts/basics';
import { Icon } from '../parts/icons';
import { navigate, useSearch } from '../router';
import { t } from '../strings';

export function ConnectPage({ me }: { me: Me }) {
  const { data, error, reload } = useLive(api.workspaces, ['workspaces']);
  const hosts = useLive(api.hostKeys, ['certificates']);
  const names = (data ?? []).filter((w) => w.user === me.user.name).map((w) => w.name);
  const asked = useSearch().get('workspace') ?? 'main';
  const workspace = names.includes(asked) ? asked : 'main';
  const target = { user: me.user.name, host: me.ssh_host, port: me.ssh_port, workspace };
  const alias = hostAlias(workspace);
  const choice = names.length > 1 && (
    <label class="inline-field"><span class="soft">{t.connect.workspace}</span>
      <select value={workspace} onChange={(event) => navigate(`/connect?workspace=${encodeURIComponent(event.currentTarget.value)}`, true)}>
        {names.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
  return (
    <Page title={t.connect.title} lead={t.connect.lead} aside={choice}>
      <Loading data={data} error={error} retry={reload} />
      {me.ssh_host === '' ? <Notice kind="warn">{t.connect.noHost}</Notice> : (
        <ol class="steps">
          <li class="panel">
            <h2>{t.connect.configTitle}</h2>
            <p class="soft">{t.connect.config}</p>
            <Snippet text={sshConfig(target)} label="~/.ssh/config" />
          </li>
          {hosts.data?.known_hosts && (
            <li class="panel">
              <h2>{t.connect.knownTitle}</h2>
              <p class="soft">{t.connect.known}</p>
              <Snippet text={hosts.data.known_hosts.trimEnd()} label="~/.ssh/known_hosts" />
              <details><summary>{t.connect.fingerprints}</summary>
                <ul class="plain">{hosts.data.items.map((key) => <li key={key.fingerprint}>{key.type} <code class="break">{key.fingerprint}</code></li>)}</ul>
              </details>
            </li>
          )}
          <li class="panel">
            <h2>{t.connect.useTitle}</h2>
            <dl class="uses">
              <div><dt>{t.connect.shell}</dt><dd><Snippet text={`ssh ${alias}`} label={t.connect.shell} /></dd></div>
              <div><dt>{t.connect.files}</dt><dd><Snippet text={`rsync -a data/ ${alias}:data/`} label={t.connect.files} /></dd></div>
              <div><dt>{t.connect.port}</dt><dd><Snippet text={`ssh -N -L 6006:localhost:6006 ${alias}`} label={t.connect.port} /></dd></div>
              <div><dt>{t.connect.editor}</dt><dd>
                <p class="actions"><a class="button" href={codeLink(target)}>{t.connect.openCode}<Icon name="external" /></a></p>
                <p class="soft small">{t.connect.editorHint(alias)}</p>
              </dd></div>
            </dl>
          </li>
          <li class="panel">
            <h2>{t.connect.onceTitle}</h2>
            <p class="soft">{t.connect.once}</p>
            <Snippet text={sshCommand(target)} label={t.connect.onceTitle} />
          </li>
        </ol>
      )}
    </Page>
  );
}
