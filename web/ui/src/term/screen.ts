// xterm.js with what Berth wants of it: our colours, links that open apart, search, and no style that the content policy refuses. Loaded only by the
// terminal page.
import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { Terminal, type ITheme } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { adoptStyles } from './styles';

const LIGHT: ITheme = {
  background: '#ffffff', foreground: '#1a2227', cursor: '#0f6b75', cursorAccent: '#ffffff', selectionBackground: '#b9dfe3',
  black: '#1a2227', red: '#a8281f', green: '#1b6e3c', yellow: '#7a5200', blue: '#1d5aa8', magenta: '#8a3a8f', cyan: '#0f6b75', white: '#55636c',
  brightBlack: '#55636c', brightRed: '#b8352b', brightGreen: '#237a46', brightYellow: '#855c00', brightBlue: '#2a68b8', brightMagenta: '#9a489f', brightCyan: '#17757f', brightWhite: '#2b353b',
};
const DARK: ITheme = {
  background: '#10171a', foreground: '#dfe7ea', cursor: '#59c6d1', cursorAccent: '#10171a', selectionBackground: '#2b5a61',
  black: '#2a343a', red: '#ff9a90', green: '#76d199', yellow: '#f0bd6a', blue: '#84b9ff', magenta: '#e0a3e6', cyan: '#59c6d1', white: '#dfe7ea',
  brightBlack: '#8a99a1', brightRed: '#ffb3ab', brightGreen: '#93e0b1', brightYellow: '#f6d08f', brightBlue: '#a5ccff', brightMagenta: '#eabbee', brightCyan: '#82d8e1', brightWhite: '#ffffff',
};
const SCROLLBACK_LINES = 10_000;

function openLink(_event: MouseEvent, address: string) {
  if (/^https?:\/\//i.test(address)) open(address, '_blank', 'noopener,noreferrer');
}

export class Screen {
  readonly terminal: Terminal;
  private readonly fit = new FitAddon();
  private readonly search = new SearchAddon();
  private readonly dark = matchMedia('(prefers-color-scheme: dark)');
  private readonly observer: ResizeObserver;
  private readonly themed = () => { this.terminal.options.theme = this.dark.matches ? DARK : LIGHT; };

  // fixed: as large as somebody else says, not as the box is.
  constructor(box: HTMLElement, label: string, leave: () => void, find: () => void, private readonly fixed = false) {
    adoptStyles();
    this.terminal = new Terminal({
      fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace',
      fontSize: 14, lineHeight: 1.15, scrollback: SCROLLBACK_LINES, cursorBlink: false, allowProposedApi: true, minimumContrastRatio: 4.5,
      theme: this.dark.matches ? DARK : LIGHT, linkHandler: { activate: openLink },
    });
    this.terminal.loadAddon(this.fit);
    this.terminal.loadAddon(this.search);
    this.terminal.loadAddon(new WebLinksAddon(openLink));
    this.terminal.open(box);
    this.terminal.textarea?.setAttribute('aria-label', label);
    this.terminal.attachCustomKeyEventHandler((event) => this.keys(event, leave, find));
    this.dark.addEventListener('change', this.themed);
    this.observer = new ResizeObserver(() => this.fitNow());
    this.observer.observe(box);
    this.fitNow();
  }

  // Those of other terminal programs: Ctrl+Shift+C copies, +F finds; Ctrl+Shift+Escape hands the keyboard back to the page.
  private keys(event: KeyboardEvent, leave: () => void, find: () => void): boolean {
    if (event.type !== 'keydown' || !event.ctrlKey || !event.shiftKey) return true;
    const act = { KeyC: () => void this.copy(), KeyF: find, Escape: leave, F6: leave }[event.code];
    if (!act) return true;
    event.preventDefault();
    act();
    return false;
  }

  get size() { return { columns: this.terminal.cols, rows: this.terminal.rows }; }
  private fitNow() { if (!this.fixed) try { this.fit.fit(); } catch { /* not laid out yet */ } }

  async copy(): Promise<boolean> {
    const text = this.terminal.getSelection();
    if (text) await navigator.clipboard.writeText(text);
    return text !== '';
  }
  findNext(text: string) { return this.search.findNext(text); }
  findPrevious(text: string) { return this.search.findPrevious(text); }
  fontSize(by: number) {
    this.terminal.options.fontSize = Math.min(28, Math.max(9, (this.terminal.options.fontSize ?? 14) + by));
    this.fitNow();
  }

  dispose() {
    this.observer.disconnect();
    this.dark.removeEventListener('change', this.themed);
    this.terminal.dispose();
  }
}
