# Interactive bash in the workspace; ~/.bashrc is read after this and may change everything.
[ -z "$PS1" ] && return
shopt -s checkwinsize histappend cmdhist globstar 2>/dev/null
HISTSIZE=100000 HISTFILESIZE=200000 HISTCONTROL=ignoreboth HISTTIMEFORMAT='%F %T  '
[ -r /etc/profile.d/workspace.sh ] && . /etc/profile.d/workspace.sh
[ -r /usr/share/bash-completion/bash_completion ] && . /usr/share/bash-completion/bash_completion
[ -r /usr/lib/git-core/git-sh-prompt ] && . /usr/lib/git-core/git-sh-prompt
GIT_PS1_SHOWDIRTYSTATE=1
__workspace_prompt() {
  local status=$? mark='\[\e[32m\]'
  [ $status -ne 0 ] && mark='\[\e[31m\]'
  PS1='\[\e[1;36m\]\u@\h\[\e[0m\]:\[\e[1;34m\]\w\[\e[0m\]'"$(__git_ps1 ' \[\e[33m\](%s)\[\e[0m\]' 2>/dev/null)"" $mark\\$\[\e[0m\] "
  history -a
  return $status
}
PROMPT_COMMAND=__workspace_prompt
alias ls='ls --color=auto' ll='ls -lh' la='ls -lAh' grep='grep --color=auto'
command -v vim >/dev/null || alias vim=vi
