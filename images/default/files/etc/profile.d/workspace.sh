# The image's Python comes first, so that `python`, `pip` and the notebooks are the same one; what the user installs with
# `pip install` lands in ~/.local, is kept with the home, and wins over both.
case ":$PATH:" in
  *:/opt/python/bin:*) ;;
  *) PATH="$HOME/.local/bin:/opt/python/bin:$PATH" ;;
esac
export PATH
export LANG="${LANG:-C.UTF-8}" EDITOR="${EDITOR:-nano}" PAGER="${PAGER:-less}" LESS="${LESS:--FRX}"
