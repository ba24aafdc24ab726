// Every word that the pages show. A further language is one more table of the same type, added to `tables`.
import { zh } from './strings.zh';

export const en = {
  languageName: 'English',
  never: 'never', now: 'now', none: '–',
  unit: { day: 'd', hour: 'h', minute: 'min', second: 's' },
  browserOn: (browser: string, system: string) => `${browser} on ${system}`,
  loading: 'Loading…', cancel: 'Cancel', close: 'Close', copy: 'Copy', copied: 'Copied', retry: 'Try again', working: 'Working…',
  skip: 'Skip to content', menu: 'Pages', language: 'Language',
  stale: 'Not up to date:', offline: 'No connection to Berth; trying again…',
  search: 'Search', any: 'Any', more: 'Show more', nothingFound: 'Nothing matches.', actions: 'Actions',

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

  nav: {
    work: 'Work', access: 'My access', admin: 'Administration',
    home: 'Workspaces', terminal: 'Terminal', connect: 'Connect', environments: 'Environments', keys: 'My keys', sessions: 'Sessions', logins: 'Logins and tokens',
    overview: 'Overview', users: 'Users', allKeys: 'Keys', campaign: 'Key campaign', allSessions: 'All sessions', allEnvironments: 'All environments', audit: 'Audit', settings: 'Settings',
  },
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
    image: 'Image', imageLater: 'It runs with another image. Stop it, and its next start makes it anew; home and environments stay.', upFor: (time: string) => `up for ${time}`, created: (time: string) => `made ${time}`, notMade: 'is made when it first starts',
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
  },

  keys: {
    title: 'My keys', lead: 'With these keys you log in by SSH and approve browsers.',
    fingerprint: 'Key', state: 'State', lastUse: 'Last use', expires: 'Expires', added: 'Added',
    from: (address: string) => `from ${address}`,
    empty: 'No keys.',
    refused: 'Refused', expiresSoon: 'ends soon', inCampaign: 'asked to be replaced', retires: 'until the new one is used',
    addOwn: 'Add a key', addedDone: (name: string) => `${name} was added.`,
    makeTitle: 'Making a key', makeText: 'Run this on your own computer and paste the second command’s output, the public half. The private half never leaves your computer.',
    addText: 'Keys are added by the administrator. Make a key if you have none, and send them the second command’s output, the public half. The private half never leaves your computer.',
    lost: 'Lost a key, or a computer that held it? Revoke it, or tell the administrator, at once: all that it opened ends within a second.',
  },
  policy: {
    title: 'Keys here:', types: (types: string) => `types ${types}.`, hardware: 'Hardware keys only.', touch: 'Touch is required.',
    age: (time: string) => `Each is good for ${time}.`, most: (n: number) => `At most ${n} for each user.`,
  },
  keyProblem: {
    empty: 'Paste the public key: the line in ~/.ssh/id_ed25519.pub.', secret: 'This is a private key. Never paste it anywhere; paste the .pub file.',
    lines: 'Paste one line only.', form: 'A public key begins with its type, such as ssh-ed25519, and goes on with letters and digits.',
  },
  rotate: {
    verb: 'Rotate', title: (name: string) => `Replace ${name}`, lead: 'Paste the new public key. The old one goes on working for a while, and says so at each login.',
    grace: 'The old key works', atOnce: 'no longer, from now on', graceOf: (time: string) => `for ${time} more`,
    retire: 'and ends as soon as the new one is first used',
    done: (name: string, until: string | null) => until ? `The new key works. ${name} works until ${new Date(until).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' })}.` : `The new key works; ${name} was replaced.`,
  },
  impact: {
    asking: 'Looking what would end…', unknown: 'What would end is not known:', sessions: 'live SSH sessions and tunnels', browsers: 'browsers logged in', uses: 'uses in 30 days', lastUse: 'Last used',
    keeps: (names: string) => `The user keeps access with ${names}.`, losesAccess: (user: string) => `${user} has no other key that works and is locked out.`,
  },
  notice: {
    superseded: 'This key was replaced:', expires_soon: 'This key ends soon:', campaign: 'Please replace this key:', until: 'until', act: 'To my keys',
  },
  keyState: { active: 'Active', superseded: 'Superseded', expired: 'Expired', revoked: 'Revoked' },

  sessions: {
    title: 'Sessions', live: 'Live now', liveLead: 'What is open with your keys, by SSH and by browser.',
    allTitle: 'All sessions', allLead: 'What everybody has open.', history: 'Show ended ones too',
    kind: 'Kind', what: 'What', workspace: 'Workspace', user: 'User', from: 'From', since: 'Since', ended: 'Ended', traffic: 'In / out', outcome: 'Outcome',
    certificate: (which: string) => `Certificate ${which}`,
    end: 'End', endAsk: 'End this session?', endText: (what: string) => `“${what}” is cut off at once.`,
    endLabel: (what: string) => `End ${what}`,
    empty: 'Nothing is open.',
    browsers: 'Browsers', browsersLead: 'Where you are logged in to these pages.', open: 'Open',
    browser: 'Browser', seen: 'Last seen', started: 'Logged in', expires: 'Until', thisOne: 'this browser', key: 'Approved by',
    endBrowserAsk: 'Log this browser out?', endBrowserText: 'Its open Jupyter pages are cut off as well.',
    noBrowsers: 'None.',
  },

  logins: { title: 'Logins and tokens', lead: 'What acts in your name without asking for your key again.' },

  ports: {
    title: 'Ports', lead: 'What listens on a port of your workspace: TensorBoard, Streamlit, a server of your own.', workspace: 'Workspace', port: 'Port', open: 'Open', badPort: 'A port is a number from 1 to 65535.',
    who: 'Share with', everybody: 'Everybody who is logged in', time: 'For', share: 'Share', whoNeeded: 'Say whom to share with.', made: (port: string) => `Port ${port} is shared at this address.`, address: 'Address',
    shared: 'Shared ports', end: 'End', endAsk: (port: string) => `End the sharing of port ${port}?`, endText: 'Who has it open is cut off at once.',
  },
  tokens: {
    title: 'API tokens', lead: 'For scripts that use the HTTP API in your name. A token ends with the key that made it.', empty: 'No tokens.', name: 'Name', state: 'State', secret: 'Token',
    made: (name: string) => `${name} was made. Copy it now: it is not shown again.`, makeTitle: 'New token', make: 'Make token', may: 'It may', read: 'read everything that you may', all: 'everything that you may', areas: 'only these areas',
    lifetime: 'Good for', nameNeeded: 'Give it a name that says what it is for.', areaNeeded: 'Choose at least one area.',
    revokeAsk: (name: string) => `Revoke ${name}?`, revokeText: 'Scripts that use it are refused from now on.',
  },
  tokenState: { active: 'Active', expired: 'Expired', revoked: 'Revoked', dead: 'Ended with its key' },

  terminal: {
    title: 'Terminal', tools: 'Terminal tools', shell: 'Shell', detached: 'detached', new: 'New', end: 'End', smaller: 'A−, smaller text', larger: 'A+, larger text', previous: 'Previous', next: 'Next',
    label: (workspace: string) => `Terminal of ${workspace}`,
    connecting: 'Connecting…', lost: 'The connection was lost. The shell goes on; this page attaches again.', notLoaded: 'The terminal could not be loaded. Reload the page.',
    ended: (how: string) => how === '' || how === '0' ? 'The shell has ended.' : `The shell has ended (${how}).`, loggedOut: 'Your login has ended, and this shell with it. Log in again.',
    endAsk: 'End this shell?', endText: 'What runs in it ends, as if you closed its window.',
    hint: 'Closing this page leaves the shell running. Ctrl+Shift+C copies, Ctrl+Shift+F searches, Ctrl+Shift+F6 leaves the terminal by keyboard.',
  },

  watch: {
    title: (user: string, workspace: string) => `Terminals of ${user}, workspace ${workspace}`, watch: 'Watch', watchLabel: (user: string) => `Watch a terminal of ${user}`,
    lead: 'You only look. The user sees it among their sessions and can end it, and it is in the audit trail.', none: 'No terminal is open there.', program: 'Program', viewers: 'Viewers', size: 'Size',
    ended: 'This look at the terminal has ended.', others: 'All terminals',
  },

  environments: {
    title: 'Environments', lead: 'Your conda environments, and those of the team. Each change is a new revision; the ones before stay, and you can go back.', empty: 'No environments yet.', all: 'All environments',
    everybodyTitle: 'Environments of all', everybodyLead: 'Every user’s conda environments, and those of the team.', owner: 'Of',
    name: 'Name', default: 'default', revision: 'Revision', revisions: 'Revisions', packages: 'Packages', size: 'Size', updated: 'Changed', state: 'State', current: 'Current', kept: 'Kept', made: 'Made',
    roll: 'Go back', rollAsk: (n: number) => `Go back to revision ${n}?`, rollText: 'It becomes current at once; what runs goes on with the files that it has open. You can come back the same way.',
    removeAsk: (name: string) => `Remove ${name}?`, removeText: 'All its revisions go. Programs that use it stop working.',
    makeDefault: 'Make it the default', notDefault: 'No default', add: 'New environment', change: 'Change', plan: 'See what would change', difference: 'Difference',
    disk: (used: string) => `They take ${used} of disk.`, diskOf: (used: string, quota: string) => `They take ${used} of the ${quota} of disk that you may use.`,
    verified: { ok: 'verified', changed: 'has changed', failed: 'cannot be built again' },
    share: 'Let everybody use it', shareAsk: (name: string) => `Share ${name} with everybody?`, shareText: 'It becomes one of the team, and you its maintainer. Everybody can use it; maintainers can change it.',
    maintainers: 'Maintainers', teamText: 'Everybody can use this environment; these users can change it.', newMaintainer: 'Another maintainer', add_: 'Add',
    package: 'Package', versionOf: 'Version', build: 'Build', search: 'Search packages', compare: 'Compare with revision',
    progress: 'Progress of the build', log: 'What the build says', packagesDone: (done: number, total: number) => `${done} of ${total} packages`, bytesDone: (done: string, total: string) => `${done} of ${total}`,
    speed: (rate: string) => `${rate}/s`, left: (seconds: number) => `${seconds} s left`,
    phases: { waiting: 'Waiting', starting: 'Starting', check: 'Checking the file', solve: 'Solving', fetch: 'Fetching', link: 'Linking', compile: 'Compiling', seal: 'Storing' },
    unchanged: 'Nothing would change.', install: (n: number, size: string) => `Install (${n} packages, ${size} to download)`,
  },

  connect: {
    title: 'Connect', lead: 'The same workspace from your own computer: terminal, editor, files, ports.', workspace: 'Workspace',
    noHost: 'The administrator has not set the name under which SSH is reached.',
    configTitle: 'Give it a name', config: 'Add this to ~/.ssh/config, once. Every program that uses SSH then knows the workspace by that name.',
    knownTitle: 'Know the machine', known: 'Add this to ~/.ssh/known_hosts, and ssh knows the machine at its first connection. Or compare what ssh asks with these fingerprints.', fingerprints: 'Fingerprints',
    useTitle: 'Use it', shell: 'Shell', files: 'Files', port: 'A port', editor: 'Editor', openCode: 'Open in VS Code',
    editorHint: (alias: string) => `Needs the Remote - SSH extension. JetBrains Gateway and others list “${alias}” under SSH.`,
    onceTitle: 'Or without any setup', once: 'From a computer that is not yours:',
  },

  overview: {
    title: 'Overview', version: 'Version', uptime: 'Up for', users: 'Users', keys: 'Keys', sessions: 'Live sessions', workspaces: 'Workspaces running',
    ssh: 'SSH', web: 'Web', workspacesTitle: 'Workspaces', noWorkspaces: 'Nobody has a workspace yet.', user: 'User', name: 'Workspace', state: 'State', image: 'Image', since: 'Up for',
    load: (cpus: number) => `Load (${cpus} CPUs)`, memory: 'Memory', onTitle: 'Who is on', open: 'Open', doing: 'With', nobody: 'Nobody is on.',
  },

  usage: {
    cpu: 'CPU', memory: 'Memory', gpus: 'GPUs', noGpu: 'no GPU', busy: 'Busy', cores: (n: number) => n === 1 ? '1 core' : `${n} cores`,
    history: (what: string, peak: string) => `${what || 'Use'} in the last minutes, at most ${peak}`,
  },

  users: {
    title: 'Users', lead: 'Who may come in. Disabling ends everything that they have open.', searchHint: 'Part of a name', noKey: 'none', exceptions: 'Exceptions', forwards: 'Forwards', hasExceptions: 'yes',
    setBy: (name: string) => `by ${name}`, openNow: 'Open now', name: 'Name', role: 'Role', keys: 'Keys', created: 'Added', state: 'State', enabled: 'Enabled', disabledState: 'Disabled',
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

  allKeys: {
    title: 'Keys', lead: 'Everybody’s keys. Rotating keeps the old one for a while; revoking ends all that rests on it.', searchHint: 'User, comment or fingerprint', age: 'Added',
    olderThan: (days: number) => `more than ${days} days ago`,
  },

  campaign: {
    title: 'Key campaign', lead: 'Asks everybody with old keys to replace them by a deadline, and shows who has.', none: 'There has been no campaign yet.',
    progress: (done: number, total: number) => `${done} of ${total} ${total === 1 ? 'user has' : 'users have'} rotated`, share: (percent: number) => `${percent} %`,
    older: (time: string) => `keys older than ${time}`, deadline: 'deadline', startedBy: (name: string) => `started by ${name}`,
    then: { supersede: 'then old keys go into their grace', expire: 'then old keys end' },
    who: 'Who is asked', showDone: 'Show who has rotated', state: 'State', hasRotated: 'Rotated', open: 'Not yet', doneAt: 'When', allDone: 'Everybody has rotated.', nobody: 'Nobody has keys that old.',
    end: 'End campaign', endAsk: 'End this campaign?', endText: 'Nobody is asked any more, and nothing happens to old keys at the deadline.',
    startTitle: 'Start a campaign', olderField: 'Keys older than (days)', deadlineField: 'Deadline in (days)', actionField: 'At the deadline',
    messageField: 'Message (optional)', messageHint: 'Shown to those who are asked, at SSH login and on these pages.',
    dryRun: 'See whom it would ask', would: (users: number, keys: number) => `It would ask ${users} ${users === 1 ? 'user' : 'users'} to replace ${keys} ${keys === 1 ? 'key' : 'keys'}.`,
    start: 'Start campaign', startAsk: (users: number) => `Ask ${users} ${users === 1 ? 'user' : 'users'} to rotate?`, startText: 'They are told at their next SSH login and on these pages.',
  },
  campaignState: { running: 'Running', done: 'Deadline has come', ended: 'Ended' },

  settings: {
    title: 'Settings in force', lead: 'What berthd runs with. They are changed in its settings file, and read when it starts.', name: 'Setting', value: 'Value', meaning: 'Meaning',
    changed: 'not the default', onlyChanged: 'Only what is not the default',
  },

  trust: {
    hostKeys: 'Host keys', hostKeysLead: 'How SSH clients recognize this server. A new one is announced to them before it takes over:', key: 'Key', state: 'State',
    active: 'In use', next: 'Takes over next', since: 'Since', retires: 'Retires', authorities: 'Certificate authorities',
    authoritiesLead: 'Whose OpenSSH certificates open workspaces:', name: 'Authority', principals: 'Principals', revoked: 'Revoked', issues: 'held by berthd', noAuthorities: 'None: certificates are not accepted.',
  },

  audit: {
    title: 'Audit', lead: 'Who did what. Each row’s hash covers the row before it, so a change or a gap shows.',
    number: 'No.', at: 'When', actor: 'Who', source: 'From', action: 'Did', object: 'To', outcome: 'Outcome', empty: 'Nothing yet.',
    verify: 'Verify the chain', ok: 'The chain is whole.', broken: (n: number) => `The chain is broken at row ${n}.`,
    more: 'Show more', find: 'Filter', findHint: 'User, address, object or key', export: 'Export (JSON lines)', withKey: 'with key', good: 'ok', refused: 'not ok',
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
