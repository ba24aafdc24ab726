// The user's workspaces: open, start, stop, reset, remove, make.
import { useState } from 'preact/hooks';
import { api, type Me, type Workspace } from '../api';
import { validName } from '../format';
import { useLive } from '../live';
import { Button, Loading, Notice, Page, useAction } from '../parts/basics';
import { Ports } from '../parts/shares';
import { WorkspaceCard } from '../parts/workspace';
import { useStarts } from '../parts/starts';
import { t } from '../strings';
import { useUsage, workspaceUsage } from '../usage';

export function HomePage({ me }: { me: Me }) {
  const { data, error, reload } = useLive(api.workspaces, ['workspaces']);
  const usage = useUsage();
  const starts = useStarts(reload);
  const mine = (data ?? []).filter((w) => w.user === me.user.name);
  return (
    <Page title={t.home.title} lead={t.home.lead}>
      <Loading data={data} error={error} retry={reload} />
      {data && (
        <div class="cards">
          {mine.map((w) => <WorkspaceCard key={w.name} workspace={w} start={starts.of(w)} usage={workspaceUsage(usage, w.user, w.name)} changed={reload} />)}
          <NewWorkspace me={me} taken={mine} start={starts.begin} />
        </div>
      )}
      {data && <Ports me={me} workspaces={mine} />}
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
    <section class="card new" aria-labelledby="new-title">
      <h2 id="new-title">{t.home.newTitle}</h2>
      <form class="stack" onSubmit={submit} noValidate>
        <label class="field">
          <span>{t.home.newName}</span>
          <input value={name} onInput={(event) => setName(event.currentTarget.value.trim())} maxLength={32} autocomplete="off" autocapitalize="none"
            spellcheck={false} placeholder="nlp" aria-describedby="new-hint" aria-invalid={wrong !== ''} />
        </label>
        <p id="new-hint" class={wrong ? 'hint wrong' : 'hint'} role={wrong ? 'alert' : undefined}>{wrong || t.home.newHint}</p>
        {action.error && <Notice kind="error">{action.error}</Notice>}
        <div class="actions"><Button type="submit" busy={action.busy}>{t.home.newButton}</Button></div>
      </form>
    </section>
  );
}
