// The user's workspaces: open, start, stop, reset, remove, make; and how to reach them by SSH.
import { useState } from 'preact/hooks';
import { api, type Me, type Workspace } from '../api';
import { hostAlias, sshCommand, sshConfig, validName } from '../format';
import { useLive } from '../live';
import { Button, Loading, Notice, Page, Snippet, useAction } from '../parts/basics';
import { WorkspaceCard } from '../parts/workspace';
import { useStarts } from '../parts/starts';
import { t } from '../strings';

export function HomePage({ me }: { me: Me }) {
  const { data, error, reload } = useLive(api.workspaces, 4000);
  const starts = useStarts(reload);
  const mine = (data ?? []).filter((w) => w.user === me.user.name);
  return (
    <Page title={t.home.title} lead={t.home.lead}>
      <Loading data={data} error={error} retry={reload} />
      {data && (
        <>
          <div class="cards">{mine.map((w) => <WorkspaceCard key={w.name} workspace={w} start={starts.of(w)} changed={reload} />)}</div>
          <div class="columns">
            <Connect me={me} workspaces={mine} />
            <NewWorkspace me={me} taken={mine} start={starts.begin} />
          </div>
        </>
      )}
    </Page>
  );
}

function NewWorkspace({ me, taken, start }: { me: Me; taken: Workspace[]; start: (w: { user: string; name: string }) => Promise<unknown> }) {
  const [name, setName] = useState('');
  const [wrong, setWrong] = useState('');
  const action = useAction();
  const submit = async (event: Event) => {
    event.preventDefault();
    const problem = !validName(name) ? t.home.badName : taken.some((w) => w.name === name) ? t.home.nameTaken : '';
    setWrong(problem);
    if (problem) return;
    if (await action.run(() => start({ user: me.user.name, name }))) setName('');
  };
  return (
    <section class="panel" aria-labelledby="new-title">
      <h2 id="new-title">{t.home.newTitle}</h2>
      <form class="stack" onSubmit={submit} noValidate>
        <label class="field">
          <span>{t.home.newName}</span>
          <input value={name} onInput={(event) => setName(event.currentTarget.value.trim())} maxLength={32} autocomplete="off" autocapitalize="none"
            spellcheck={false} placeholder="nlp" aria-describedby="new-hint" aria-invalid={wrong !== ''} />
        </label>
        <p id="new-hint" class={wrong ? 'hint wrong' : 'hint'} role={wrong ? 'alert' : undefined}>{wrong || t.home.newHint}</p>
        {action.error && <Notice kind="error">{action.error}</Notice>}
        <div class="actions"><Button type="submit">{t.home.newButton}</Button></div>
      </form>
    </section>
  );
}

function Connect({ me, workspaces }: { me: Me; workspaces: Workspace[] }) {
  const [chosen, setChosen] = useState('main');
  const workspace = workspaces.some((w) => w.name === chosen) ? chosen : 'main';
  const target = { user: me.user.name, host: me.ssh_host, port: me.ssh_port, workspace };
  return (
    <section class="panel" aria-labelledby="connect-title">
      <div class="panel-head">
        <h2 id="connect-title">{t.home.connect}</h2>
        {workspaces.length > 1 && (
          <label class="inline-field"><span class="soft">{t.home.connectFor}</span>
            <select value={workspace} onChange={(event) => setChosen(event.currentTarget.value)}>
              {workspaces.map((w) => <option key={w.name} value={w.name}>{w.name}</option>)}
            </select>
          </label>
        )}
      </div>
      <p class="soft">{t.home.connectLead}</p>
      {me.ssh_host === '' ? <Notice>{t.home.noHost}</Notice> : (
        <>
          <p>{t.home.connectConfig}</p>
          <Snippet text={sshConfig(target)} label="~/.ssh/config" />
          <p class="soft">{t.home.connectThen(hostAlias(workspace))}</p>
          <p>{t.home.connectOnce}</p>
          <Snippet text={sshCommand(target)} label="ssh" />
        </>
      )}
    </section>
  );
}
