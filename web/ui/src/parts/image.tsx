// What a workspace is made of, where the site offers a choice.
import { api, type Workspace } from '../api';
import { useLive } from '../live';
import { t } from '../strings';
import { Field, Notice, useAction } from './basics';

export function ImageChoice({ workspace: w }: { workspace: Workspace }) {
  const { data, reload } = useLive(() => api.workspaceImage(w), ['workspaces', 'environments'], [w.user, w.name, w.state, w.image]);
  const action = useAction();
  if (!data || data.items.length < 2) return null;
  const chosen = data.items.find((image) => image.chosen);
  return (
    <>
      <Field label={t.home.image} hint={chosen?.description} class="short">
        <select value={data.chosen} disabled={action.busy} onChange={(event) => { const name = event.currentTarget.value; void action.run(async () => { await api.chooseImage(w, name); await reload(); }); }}>
          {data.items.map((image) => <option value={image.name} key={image.name}>{image.name}</option>)}
        </select>
      </Field>
      {action.error && <Notice kind="error">{action.error}</Notice>}
      {data.restart && <Notice>{t.home.imageLater}</Notice>}
      {chosen?.warnings.map((line) => <Notice kind="warn" key={line}>{line}</Notice>)}
    </>
  );
}
