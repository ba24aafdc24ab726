// Every word that the pages show. A further language is one more table of the same type, added to `tables`.
import { zh } from './strings.zh';

export const en = {
  languageName: 'English',
  never: 'never', now: 'now', none: '–',
  unit: { day: 'd', hour: 'h', minute: 'min', second: 's' },
  browserOn: (browser: string, system: string) => `${browser} on ${system}`,
  loading: 'Loading…', cancel: 'Cancel', close: 'Close', copy: 'Copy', copied: 'Copied', retry: 'Try again', working: 'Working…',
  skip: 'Skip to content', menu: 'Pages', language: 'Language',
  stale: 'Not up to date:',

  errors: {
    unreachable: 'Berth does not answer. Check your network; this page tries again.',
    closed: 'The connection ended before Berth answered.',
    denied: 'You may not do that.',
    not_found: 'There is no such thing, or it is not yours.',
    conflict: 'That does not go together with the present state.',
    invalid: 'Berth does not understand that request.',
    too_large: 'That is too large.',
    timeout: 'That took too long. Try again.',
    unavailable: 'Berth is busy or starting. Try again in a moment.',
    internal: 'Something in Berth failed. The administrator finds the reason in its log.',
  } as Record<string, string>,

  nav: { home: 'Home', keys: 'My keys', sessions: 'Sessions', overview: 'Overview', users: 'Users', allSessions: 'All sessions', audit: 'Audit', admin: 'Admin' },
  logOut: 'Log out',
  role: { user: 'user', auditor: 'auditor', admin: 'admin' },

  login: {
    title: 'Log in with your SSH key',
    lead: 'No password: your key is enough. Run this on a computer that has it:',
    waiting: 'Waiting for your approval…',
    expires: (left: string) => `This code is good for ${left}.`,
    expired: 'This code has run out.',
    newCode: 'New code',
    codeLabel: 'Your code',
    compare: 'Approve only a code that you see on this page, in your own browser.',
    otherTitle: 'Or by link',
    other: 'On the same computer you can also have a link printed. It works once, for one minute:',
    askingCode: 'Asking for a code…',
    byLink: 'Logging you in…',
    linkFailed: 'This link did not work. Links work once and for one minute: ask for a new one, or use the code below.',
    noKey: 'No access yet? Send your public key (the line in ~/.ssh/id_ed25519.pub) to the administrator.',
    welcome: (user: string) => `Welcome, ${user}`,
  },

  state: { stopped: 'Stopped', starting: 'Starting', running: 'Running', stopping: 'Stopping', failed: 'Failed' },

  home: {
    title: 'Workspaces',
    lead: 'Your own containers on this machine. They stay while you come and go.',
    image: 'Image', upFor: (time: string) => `up for ${time}`, created: (time: string) => `made ${time}`, notMade: 'is made when it first starts',
    openJupyter: 'Open Jupyter', newTab: '(opens in a new tab)', start: 'Start', stop: 'Stop', reset: 'Reset', remove: 'Remove',
    startFailed: 'It did not start', progress: (name: string) => `Progress of ${name}`,
    moreActions: (name: string) => `Actions for ${name}`,
    stopAsk: (name: string) => `Stop ${name}?`,
    stopText: 'All that runs in it ends: shells, kernels, computations, tunnels. Files in your home stay.',
    resetAsk: (name: string) => `Reset ${name}?`,
    resetText: 'The container is made anew from its image: what runs in it ends, and changes outside of your home are lost. Your home stays.',
    removeAsk: (name: string) => `Remove ${name}?`,
    removeText: 'The container goes away, and what runs in it ends. Your home stays.',
    newTitle: 'New workspace', newName: 'Name', newButton: 'Make and start',
    newHint: 'Small letters, digits, - and _; begins with a letter. All your workspaces share your home.',
    badName: 'A name has small letters, digits, - and _, begins with a letter, and is at most 32 long.',
    nameTaken: 'You have a workspace with that name.',
    connect: 'Connect', connectLead: 'The same workspace by SSH: terminal, VS Code, JetBrains, scp, rsync.',
    connectConfig: 'Add this to ~/.ssh/config:', connectThen: (alias: string) => `Then “ssh ${alias}” is enough, and editors list it by that name.`,
    connectOnce: 'Or without any setup:', connectFor: 'Workspace',
    noHost: 'The administrator has not set the name under which SSH is reached.',
  },

  keys: {
    title: 'My keys', lead: 'With these keys you log in by SSH and approve browsers.',
    fingerprint: 'Key', state: 'State', lastUse: 'Last use', expires: 'Expires', added: 'Added',
    from: (address: string) => `from ${address}`,
    empty: 'No keys.',
    addTitle: 'Add or replace a key',
    addText: 'Keys are added by the administrator. Make a key if you have none, and send them the second line’s output, the public half. The private half never leaves your computer.',
    lost: 'Lost a key, or a computer that held it? Tell the administrator at once: revoking it ends everything it opened within a second.',
  },
  keyState: { active: 'Active', superseded: 'Superseded', expired: 'Expired', revoked: 'Revoked' },

  sessions: {
    title: 'Sessions', live: 'Live now', liveLead: 'What is open with your keys, by SSH and by browser.',
    allTitle: 'All sessions', allLead: 'What everybody has open.', history: 'Show ended ones too',
    kind: 'Kind', what: 'What', workspace: 'Workspace', user: 'User', from: 'From', since: 'Since', ended: 'Ended', traffic: 'In / out', outcome: 'Outcome',
    end: 'End', endAsk: 'End this session?', endText: (what: string) => `“${what}” is cut off at once.`,
    endLabel: (what: string) => `End ${what}`,
    empty: 'Nothing is open.',
    browsers: 'Browsers', browsersLead: 'Where you are logged in to these pages.',
    browser: 'Browser', seen: 'Last seen', started: 'Logged in', expires: 'Until', thisOne: 'this browser', key: 'Approved by',
    endBrowserAsk: 'Log this browser out?', endBrowserText: 'Its open Jupyter pages are cut off as well.',
    noBrowsers: 'None.',
  },

  overview: {
    title: 'Overview', version: 'Version', uptime: 'Up for', users: 'Users', keys: 'Keys', sessions: 'Live sessions', workspaces: 'Workspaces running',
    ssh: 'SSH', web: 'Web', workspacesTitle: 'Workspaces', noWorkspaces: 'Nobody has a workspace yet.', user: 'User', name: 'Workspace', state: 'State', image: 'Image', since: 'Up for',
  },

  users: {
    title: 'Users', name: 'Name', role: 'Role', keys: 'Keys', created: 'Added', state: 'State', enabled: 'Enabled', disabledState: 'Disabled',
    addTitle: 'Add a user', add: 'Add user', empty: 'No users yet.', open: (name: string) => `Keys of ${name}`,
    badName: 'A name has small letters, digits, - and _, begins with a letter, and is at most 32 long.',
    disable: 'Disable', enable: 'Enable', remove: 'Remove',
    disableAsk: (name: string) => `Disable ${name}?`,
    disableText: 'They cannot log in any more, and everything they have open ends at once. Workspaces and files stay.',
    removeAsk: (name: string) => `Remove ${name}?`,
    removeText: 'The user, their keys and their workspaces go away, and everything they have open ends. Their home stays on the disk.',
    roleOf: (name: string) => `Role of ${name}`,
    keysOf: (name: string) => `Keys of ${name}`, noKeys: 'No key yet: they cannot log in.',
    addKey: 'Add key', publicKey: 'Public key', publicKeyHint: 'One line, as in ~/.ssh/id_ed25519.pub', expires: 'Expires (optional)',
    revoke: 'Revoke', revokeAsk: 'Revoke this key?',
    revokeText: (what: string) => `${what} stops working for good. SSH sessions, tunnels and browsers that rest on it end within a second.`,
    revoked: (n: number) => n === 0 ? 'Revoked. Nothing was open with it.' : `Revoked. ${n} ${n === 1 ? 'session' : 'sessions'} ended.`,
    revokeLabel: (what: string) => `Revoke ${what}`,
    back: 'All users', since: (time: string) => `added ${time}`,
  },

  audit: {
    title: 'Audit', lead: 'Who did what. Each row’s hash covers the row before it, so a change or a gap shows.',
    number: 'No.', at: 'When', actor: 'Who', source: 'From', action: 'Did', object: 'To', outcome: 'Outcome', empty: 'Nothing yet.',
    verify: 'Verify the chain', ok: 'The chain is whole.', broken: (n: number) => `The chain is broken at row ${n}.`,
    more: 'Show more', find: 'Filter',
  },
  notFound: { title: 'No such page', text: 'Nothing is at this address.', home: 'To your workspaces' },
  denied: { title: 'Not for you', text: 'This page is for administrators.' },
};

export type Strings = typeof en;
const tables: Record<string, Strings> = { en, zh };
export const languages = Object.entries(tables).map(([code, table]) => ({ code, name: table.languageName }));

function chooseLanguage(): string {
  try {
    const chosen = localStorage.getItem('berth.language');
    if (chosen && chosen in tables) return chosen;
  } catch { /* storage may be blocked */ }
  const wanted = typeof navigator === 'undefined' ? [] : navigator.languages ?? [];
  return wanted.map((tag) => tag.split('-')[0]!).find((code) => code in tables) ?? 'en';
}

export function setLanguage(code: string) {
  try { localStorage.setItem('berth.language', code); } catch { /* then it lasts as long as the browser's own choice */ }
  location.reload();
}

export const language = chooseLanguage();
export const t: Strings = tables[language]!;
