# Sourced: puts the Node.js that scripts/setup installed, if it did, before the machine's.
[ -x .cache/node/bin/npm ] && PATH=$PWD/.cache/node/bin:$PATH
new_enough_node() {  # 20.19 or newer, with npm
  command -v npm >/dev/null && [[ $(node --version 2>/dev/null) =~ ^v([0-9]+)\.([0-9]+) ]] &&
    [ $((BASH_REMATCH[1] * 100 + BASH_REMATCH[2])) -ge 2019 ]
}
