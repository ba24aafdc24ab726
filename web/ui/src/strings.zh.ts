import type { Strings } from './strings';

export const zh: Strings = {
  languageName: '中文',
  never: '从未', now: '刚刚', none: '–',
  unit: { day: '天', hour: '小时', minute: '分钟', second: '秒' },
  browserOn: (browser, system) => `${system} 上的 ${browser}`,
  loading: '正在加载…', cancel: '取消', close: '关闭', copy: '复制', copied: '已复制', retry: '重试', working: '处理中…',
  skip: '跳到正文', menu: '页面', language: '语言',
  stale: '数据不是最新的：', offline: '与 Berth 的连接已断开，正在重试…',
  search: '搜索', any: '不限', more: '显示更多', nothingFound: '没有匹配项。', actions: '操作',

  errors: {
    unreachable: 'Berth 没有响应。请检查网络，本页会自动重试。',
    closed: '连接在 Berth 应答之前断开了。',
    denied: '您无权执行此操作。',
    not_found: '不存在，或者不属于您。',
    conflict: '与当前状态冲突。',
    invalid: 'Berth 无法理解该请求。',
    too_large: '内容太大。',
    timeout: '超时，请重试。',
    unavailable: 'Berth 正忙或正在启动，请稍后重试。',
    internal: 'Berth 内部出错，管理员可在日志中查明原因。',
  },

  nav: {
    work: '工作', access: '我的访问', admin: '管理',
    home: '工作区', terminal: '终端', connect: '连接', environments: '环境', keys: '我的密钥', sessions: '会话', logins: '登录与令牌',
    overview: '概览', users: '用户', allKeys: '密钥', campaign: '密钥轮换', allSessions: '所有会话', allEnvironments: '所有环境', audit: '审计', settings: '设置',
  },
  logOut: '退出登录',
  role: { user: '用户', auditor: '审计员', admin: '管理员' },

  login: {
    title: '使用 SSH 密钥登录',
    lead: '无需密码，有密钥即可。请在保存密钥的电脑上运行：',
    waiting: '正在等待您的批准…',
    expires: (left) => `此验证码还有 ${left} 失效。`,
    expired: '此验证码已失效。',
    newCode: '获取新验证码',
    codeLabel: '您的验证码',
    compare: '只批准您自己的浏览器在本页上显示的验证码。',
    otherTitle: '或使用链接',
    other: '也可以在那台电脑上生成一个链接，只能使用一次，一分钟内有效：',
    askingCode: '正在获取验证码…',
    byLink: '正在登录…',
    linkFailed: '链接无效。链接只能使用一次，一分钟内有效：请重新生成，或使用下面的验证码。',
    noKey: '还没有权限？请把公钥（~/.ssh/id_ed25519.pub 中的那一行）发给管理员。',
    welcome: (user) => `欢迎，${user}`,
  },

  state: { stopped: '已停止', starting: '正在启动', running: '运行中', stopping: '正在停止', failed: '失败' },

  home: {
    title: '工作区',
    lead: '您在这台机器上的容器，离线后仍会保留。',
    image: '镜像', imageLater: '当前运行的是另一个镜像。停止后，下次启动会用新镜像重建；主目录和环境保持不变。', upFor: (time) => `已运行 ${time}`, created: (time) => `创建于${time}`, notMade: '首次启动时创建',
    openJupyter: '打开 Jupyter', newTab: '（在新标签页中打开）', start: '启动', stop: '停止', reset: '重置', remove: '删除',
    startFailed: '启动失败', progress: (name) => `${name} 的进度`,
    moreActions: (name) => `${name} 的操作`,
    stopAsk: (name) => `停止 ${name}？`,
    stopText: '其中运行的一切都会结束：终端、内核、计算和隧道。主目录中的文件会保留。',
    resetAsk: (name) => `重置 ${name}？`,
    resetText: '将从镜像重新创建容器：正在运行的程序会结束，主目录以外的更改会丢失。主目录会保留。',
    removeAsk: (name) => `删除 ${name}？`,
    removeText: '容器会被删除，其中运行的程序会结束。主目录会保留。',
    newTitle: '新建工作区', newName: '名称', newButton: '创建并启动',
    newHint: '小写字母、数字、- 和 _，以字母开头。所有工作区共用您的主目录。',
    badName: '名称由小写字母、数字、- 和 _ 组成，以字母开头，最长 32 个字符。',
    nameTaken: '您已有同名的工作区。',
  },

  keys: {
    title: '我的密钥', lead: '您使用这些密钥通过 SSH 登录并批准浏览器。',
    fingerprint: '密钥', state: '状态', lastUse: '上次使用', expires: '到期', added: '添加时间',
    from: (address) => `来自 ${address}`,
    empty: '没有密钥。',
    refused: '被拒绝', expiresSoon: '即将到期', inCampaign: '需要更换', retires: '直到新密钥首次使用',
    addOwn: '添加密钥', addedDone: (name) => `已添加 ${name}。`,
    makeTitle: '生成密钥', makeText: '在您自己的电脑上运行以下命令，然后粘贴第二行命令输出的公钥。私钥永远不会离开您的电脑。',
    addText: '密钥由管理员添加。如果还没有密钥，请先生成，然后把第二行命令输出的公钥发给管理员。私钥永远不会离开您的电脑。',
    lost: '密钥或保存密钥的电脑丢失了？请立即撤销，或告知管理员：该密钥打开的一切会在一秒内结束。',
  },
  policy: {
    title: '密钥要求：', types: (types) => `类型 ${types}。`, hardware: '仅限硬件密钥。', touch: '必须触摸确认。',
    age: (time) => `每个密钥有效期 ${time}。`, most: (n) => `每个用户最多 ${n} 个。`,
  },
  keyProblem: {
    empty: '请粘贴公钥，即 ~/.ssh/id_ed25519.pub 中的那一行。', secret: '这是私钥，切勿粘贴到任何地方；请粘贴 .pub 文件。',
    lines: '只能粘贴一行。', form: '公钥以类型开头（例如 ssh-ed25519），其后是字母和数字。',
  },
  rotate: {
    verb: '轮换', title: (name) => `更换 ${name}`, lead: '请粘贴新的公钥。旧密钥还可继续使用一段时间，每次登录时都会提示。',
    grace: '旧密钥', atOnce: '立即失效', graceOf: (time) => `继续有效 ${time}`,
    retire: '新密钥首次使用后立即失效',
    done: (name, until) => until ? `新密钥已生效。${name} 有效至 ${new Date(until).toLocaleString('zh', { dateStyle: 'medium', timeStyle: 'short' })}。` : `新密钥已生效，${name} 已被替换。`,
  },
  impact: {
    asking: '正在查看会结束哪些内容…', unknown: '无法得知会结束哪些内容：', sessions: '个打开的 SSH 会话和隧道', browsers: '个已登录的浏览器', uses: '次使用（30 天内）', lastUse: '上次使用',
    keeps: (names) => `该用户仍可使用 ${names} 登录。`, losesAccess: (user) => `${user} 没有其他可用的密钥，将无法登录。`,
  },
  notice: {
    superseded: '此密钥已被替换：', expires_soon: '此密钥即将到期：', campaign: '请更换此密钥：', until: '有效期至', act: '前往我的密钥',
  },
  keyState: { active: '有效', superseded: '已被替换', expired: '已过期', revoked: '已撤销' },

  sessions: {
    title: '会话', live: '当前会话', liveLead: '使用您的密钥通过 SSH 和浏览器打开的内容。',
    allTitle: '所有会话', allLead: '所有人当前打开的内容。', history: '同时显示已结束的',
    kind: '类型', what: '内容', workspace: '工作区', user: '用户', from: '来源', since: '开始', ended: '结束', traffic: '收 / 发', outcome: '结果',
    certificate: (which) => `证书 ${which}`,
    end: '结束', endAsk: '结束此会话？', endText: (what) => `“${what}”会立即中断。`,
    endLabel: (what) => `结束 ${what}`,
    empty: '没有打开的会话。',
    browsers: '浏览器', browsersLead: '您已登录本站的浏览器。', open: '打开',
    browser: '浏览器', seen: '最近活动', started: '登录时间', expires: '有效期至', thisOne: '当前浏览器', key: '批准密钥',
    endBrowserAsk: '让此浏览器退出登录？', endBrowserText: '其中打开的 Jupyter 页面也会中断。',
    noBrowsers: '没有。',
  },

  logins: { title: '登录与令牌', lead: '无需再次验证密钥即可代表您操作的浏览器和令牌。' },

  ports: {
    title: '端口', lead: '工作区端口上运行的服务：TensorBoard、Streamlit 或您自己的程序。', workspace: '工作区', port: '端口', open: '打开', badPort: '端口是 1 到 65535 之间的数字。',
    who: '共享给', everybody: '所有已登录的用户', time: '时长', share: '共享', whoNeeded: '请填写共享对象。', made: (port) => `端口 ${port} 已在此地址共享。`, address: '地址',
    shared: '已共享的端口', end: '结束', endAsk: (port) => `结束共享端口 ${port}？`, endText: '正在使用的人会立即断开。',
  },
  tokens: {
    title: 'API 令牌', lead: '供脚本以您的名义使用 HTTP API。令牌随创建它的密钥一起失效。', empty: '没有令牌。', name: '名称', state: '状态', secret: '令牌',
    made: (name) => `已创建 ${name}。请立即复制，之后不再显示。`, makeTitle: '新建令牌', make: '创建令牌', may: '权限', read: '读取您可以读取的一切', all: '您可以做的一切', areas: '仅限以下范围',
    lifetime: '有效期', nameNeeded: '请填写能说明用途的名称。', areaNeeded: '请至少选择一个范围。',
    revokeAsk: (name) => `撤销 ${name}？`, revokeText: '使用它的脚本从现在起会被拒绝。',
  },
  tokenState: { active: '有效', expired: '已过期', revoked: '已撤销', dead: '已随密钥失效' },

  terminal: {
    title: '终端', tools: '终端工具', shell: '终端', detached: '已分离', new: '新建', end: '结束', smaller: 'A−，缩小文字', larger: 'A+，放大文字', previous: '上一个', next: '下一个',
    label: (workspace) => `${workspace} 的终端`,
    connecting: '正在连接…', lost: '连接已断开。终端仍在运行，本页会重新连接。', notLoaded: '无法加载终端，请重新加载页面。',
    ended: (how) => how === '' || how === '0' ? '终端已结束。' : `终端已结束（${how}）。`, loggedOut: '您的登录已失效，此终端也已结束，请重新登录。',
    endAsk: '结束此终端？', endText: '其中运行的程序会结束，与关闭终端窗口相同。',
    hint: '关闭本页后终端仍会运行。Ctrl+Shift+C 复制，Ctrl+Shift+F 搜索，Ctrl+Shift+F6 用键盘离开终端。',
  },

  watch: {
    title: (user, workspace) => `${user} 的终端，工作区 ${workspace}`, watch: '查看', watchLabel: (user) => `查看 ${user} 的终端`,
    lead: '您只能查看。用户会在自己的会话中看到并可将其结束，审计记录中也会留下记录。', none: '那里没有打开的终端。', program: '程序', viewers: '查看者', size: '大小',
    ended: '对该终端的查看已结束。', others: '全部终端',
  },

  environments: {
    title: '环境', lead: '您的 conda 环境和团队环境。每次更改都是一个新版本，之前的版本会保留，可以随时回退。', empty: '还没有环境。', all: '所有环境',
    everybodyTitle: '全部环境', everybodyLead: '每个用户的 conda 环境以及团队环境。', owner: '所有者',
    name: '名称', default: '默认', revision: '版本', revisions: '版本', packages: '软件包', size: '大小', updated: '更改时间', state: '状态', current: '当前', kept: '保留', made: '创建时间',
    roll: '回退', rollAsk: (n) => `回退到版本 ${n}？`, rollText: '立即生效；正在运行的程序继续使用已打开的文件。您可以用同样的方式再切换回来。',
    removeAsk: (name) => `删除 ${name}？`, removeText: '其所有版本都会删除，使用它的程序将无法工作。',
    makeDefault: '设为默认', notDefault: '取消默认', add: '新建环境', change: '更改', plan: '查看会有哪些变化', difference: '变化',
    disk: (used) => `占用磁盘 ${used}。`, diskOf: (used, quota) => `占用磁盘 ${used}，限额 ${quota}。`,
    verified: { ok: '已验证', changed: '已改变', failed: '无法重建' },
    share: '共享给所有人', shareAsk: (name) => `把 ${name} 共享给所有人？`, shareText: '它将成为团队环境，由您维护。所有人可以使用，维护者可以更改。',
    maintainers: '维护者', teamText: '所有人可以使用此环境；以下用户可以更改它。', newMaintainer: '添加维护者', add_: '添加',
    package: '软件包', versionOf: '版本', build: '构建', search: '搜索软件包', compare: '与版本比较',
    progress: '构建进度', log: '构建日志', packagesDone: (done, total) => `${done} / ${total} 个软件包`, bytesDone: (done, total) => `${done} / ${total}`,
    speed: (rate) => `${rate}/秒`, left: (seconds) => `剩余 ${seconds} 秒`,
    phases: { waiting: '等待中', starting: '启动中', check: '检查文件', solve: '求解', fetch: '下载', link: '链接', compile: '编译', seal: '存储' },
    unchanged: '没有变化。', install: (n, size) => `安装（${n} 个软件包，需下载 ${size}）`,
  },

  connect: {
    title: '连接', lead: '在您自己的电脑上使用同一个工作区：终端、编辑器、文件、端口。', workspace: '工作区',
    noHost: '管理员尚未设置 SSH 的访问地址。',
    configTitle: '取个名字', config: '将以下内容加入 ~/.ssh/config，只需一次。之后所有使用 SSH 的程序都能以此名称访问工作区。',
    knownTitle: '确认机器身份', known: '将以下内容加入 ~/.ssh/known_hosts，首次连接时 ssh 即可确认这台机器；也可以将 ssh 询问的指纹与此处核对。', fingerprints: '指纹',
    useTitle: '开始使用', shell: '终端', files: '文件', port: '端口', editor: '编辑器', openCode: '在 VS Code 中打开',
    editorHint: (alias) => `需要 Remote - SSH 扩展。JetBrains Gateway 等会在 SSH 下列出“${alias}”。`,
    onceTitle: '或无需任何设置', once: '在不属于您的电脑上：',
  },

  overview: {
    title: '概览', version: '版本', uptime: '已运行', users: '用户', keys: '密钥', sessions: '当前会话', workspaces: '运行中的工作区',
    ssh: 'SSH', web: '网页', workspacesTitle: '工作区', noWorkspaces: '还没有工作区。', user: '用户', name: '工作区', state: '状态', image: '镜像', since: '已运行',
    load: (cpus) => `负载（${cpus} 个 CPU）`, memory: '内存', onTitle: '谁在线', open: '打开', doing: '方式', nobody: '没有人在线。',
  },

  usage: {
    cpu: 'CPU', memory: '内存', gpus: 'GPU', noGpu: '没有 GPU', busy: '使用率', cores: (n) => `${n} 核`,
    history: (what, peak) => `${what || '用量'}：最近几分钟，最高 ${peak}`,
  },

  users: {
    title: '用户', lead: '谁可以登录。停用会结束其打开的一切。', searchHint: '名称的一部分', noKey: '无', exceptions: '例外', forwards: '转发', hasExceptions: '有',
    setBy: (name) => `由 ${name} 设置`, openNow: '当前打开', name: '名称', role: '角色', keys: '密钥', created: '添加时间', state: '状态', enabled: '已启用', disabledState: '已停用',
    addTitle: '添加用户', add: '添加', empty: '还没有用户。', open: (name) => `${name} 的密钥`,
    badName: '名称由小写字母、数字、- 和 _ 组成，以字母开头，最长 32 个字符。',
    disable: '停用', enable: '启用', remove: '删除',
    disableAsk: (name) => `停用 ${name}？`,
    disableText: '该用户将无法登录，其打开的一切会立即结束。工作区和文件会保留。',
    removeAsk: (name) => `删除 ${name}？`,
    removeText: '用户及其密钥和工作区会被删除，其打开的一切会结束。主目录会保留在磁盘上。',
    roleOf: (name) => `${name} 的角色`,
    keysOf: (name) => `${name} 的密钥`, noKeys: '还没有密钥，无法登录。',
    addKey: '添加密钥', publicKey: '公钥', publicKeyHint: '一行，与 ~/.ssh/id_ed25519.pub 中的相同', expires: '到期日（可选）',
    revoke: '撤销', revokeAsk: '撤销此密钥？',
    revokeText: (what) => `${what} 将永久失效。依赖它的 SSH 会话、隧道和浏览器会在一秒内结束。`,
    revoked: (n) => n === 0 ? '已撤销，没有正在使用它的会话。' : `已撤销，结束了 ${n} 个会话。`,
    revokeLabel: (what) => `撤销 ${what}`,
    back: '所有用户', since: (time) => `添加于${time}`,
  },

  allKeys: {
    title: '密钥', lead: '所有人的密钥。轮换会让旧密钥继续有效一段时间；撤销会结束依赖它的一切。', searchHint: '用户、注释或指纹', age: '添加时间',
    olderThan: (days) => `${days} 天以前`,
  },

  campaign: {
    title: '密钥轮换', lead: '要求所有持有旧密钥的用户在期限前更换，并显示谁已完成。', none: '还没有进行过轮换活动。',
    progress: (done, total) => `${total} 个用户中有 ${done} 个已更换`, share: (percent) => `${percent}%`,
    older: (time) => `早于 ${time} 的密钥`, deadline: '期限', startedBy: (name) => `由 ${name} 发起`,
    then: { supersede: '到期后旧密钥进入宽限期', expire: '到期后旧密钥失效' },
    who: '涉及的用户', showDone: '显示已更换的用户', state: '状态', hasRotated: '已更换', open: '未更换', doneAt: '时间', allDone: '所有人都已更换。', nobody: '没有这么旧的密钥。',
    end: '结束活动', endAsk: '结束此活动？', endText: '不再要求任何人更换，期限到时旧密钥不受影响。',
    startTitle: '发起活动', olderField: '密钥早于（天）', deadlineField: '期限（天）', actionField: '到期时',
    messageField: '消息（可选）', messageHint: '在 SSH 登录时和本站上显示给相关用户。',
    dryRun: '查看涉及的用户', would: (users, keys) => `将要求 ${users} 个用户更换 ${keys} 个密钥。`,
    start: '开始', startAsk: (users) => `要求 ${users} 个用户更换密钥？`, startText: '他们会在下次 SSH 登录时和本站上收到通知。',
  },
  campaignState: { running: '进行中', done: '期限已到', ended: '已结束' },

  settings: {
    title: '生效的设置', lead: 'berthd 当前使用的设置。请在设置文件中更改，启动时读取。', name: '设置', value: '值', meaning: '含义',
    changed: '非默认值', onlyChanged: '只显示非默认值',
  },

  trust: {
    hostKeys: '主机密钥', hostKeysLead: 'SSH 客户端据此识别本服务器。新密钥会先告知客户端，然后再启用：', key: '密钥', state: '状态',
    active: '使用中', next: '即将启用', since: '起始时间', retires: '停用时间', authorities: '证书颁发机构',
    authoritiesLead: '其 OpenSSH 证书可打开工作区：', name: '机构', principals: '主体', revoked: '已吊销', issues: '由 berthd 持有', noAuthorities: '无：不接受证书。',
  },

  audit: {
    title: '审计', lead: '谁做了什么。每行的哈希都覆盖前一行，因此任何改动或缺失都会暴露。',
    number: '编号', at: '时间', actor: '操作者', source: '来源', action: '操作', object: '对象', outcome: '结果', empty: '还没有记录。',
    verify: '验证链条', ok: '链条完整。', broken: (n) => `链条在第 ${n} 行断开。`,
    more: '显示更多', find: '筛选', findHint: '用户、地址、对象或密钥', export: '导出（JSON Lines）', withKey: '密钥', good: '成功', refused: '未成功',
  },
  notFound: { title: '没有此页面', text: '此地址没有内容。', home: '前往工作区' },
  denied: { title: '无权访问', text: '此页面仅供管理员使用。' },
};
