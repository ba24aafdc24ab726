# Login shells begin in the user's default conda environment. Mounted into every workspace by Berth; read by /etc/profile.
case "$CONDA_PREFIX" in
  /opt/berth/envs/*)
    # A shell within an environment stays in it; /etc/profile has just set another PATH.
    case ":$PATH:" in *":$CONDA_PREFIX/bin:"*) ;; *) PATH=$CONDA_PREFIX/bin:$PATH ;; esac ;;
  '') [ ! -r /opt/berth/envs/now/activate.sh ] || . /opt/berth/envs/now/activate.sh ;;
esac
# `berth-env use NAME` changes this shell, so it is a function there.
if [ -n "$BASH_VERSION$ZSH_VERSION" ]; then
  eval 'berth-env() { if [ "$1" = use ] || [ "$1" = off ]; then eval "$(command berth-env "$@")"; else command berth-env "$@"; fi; }'
fi
