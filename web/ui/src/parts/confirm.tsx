// Asks before something is destroyed. The browser's own <dialog> brings focus handling and Escape.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { errorText } from '../live';
import { t } from '../strings';
import { Button, Notice } from './basics';

// `details`: what the user should know before deciding. `calm`: nothing is destroyed.
export interface Question { title: string; text: string; verb: string; details?: ComponentChildren; calm?: boolean; act: () => Promise<unknown> }

// Usage: const confirm = useConfirm(); … confirm.ask({…}) … {confirm.dialog}
export function useConfirm() {
  const [question, setQuestion] = useState<Question | null>(null);
  const dialog = question && <Confirm question={question} done={() => setQuestion(null)} />;
  return { ask: setQuestion, dialog };
}

function Confirm({ question, done }: { question: Question; done: () => void }) {
  const element = useRef<HTMLDialogElement>(null);
  const [error, setError] = useState('');
  useEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    return () => { if (before instanceof HTMLElement) before.focus(); };
  }, []);
  const act = async () => {
    try {
      await question.act();
      done();
    } catch (failure) {
      setError(errorText(failure));
    }
  };
  return (
    <dialog ref={element} class="confirm" aria-labelledby="confirm-title" onClose={done}>
      <h2 id="confirm-title">{question.title}</h2>
      <p>{question.text}</p>
      {question.details}
      {error && <Notice kind="error">{error}</Notice>}
      <div class="actions end">
        <Button onClick={done}>{t.cancel}</Button>
        <Button kind={question.calm ? 'primary' : 'danger'} onClick={act}>{question.verb}</Button>
      </div>
    </dialog>
  );
}

// A dialog with a form of its own; it closes by Escape, Cancel or done().
export function Dialog({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    return () => { if (before instanceof HTMLElement) before.focus(); };
  }, []);
  return (
    <dialog ref={element} class="confirm" aria-labelledby="dialog-title" onClose={close}>
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}
