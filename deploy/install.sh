#!/usr/bin/env bash
# Installs seatrial from this source tree on a machine that takes no .deb: the same files in the same
# places. Idempotent: run it again to upgrade. Enables and starts nothing, except that instances which
# ran before an upgrade run again after it (they boot HALTED).
#   deploy/install.sh [--dry-run] [--root DIR]      install or upgrade
#   deploy/install.sh --uninstall [--dry-run] [--root DIR]
# Configuration in /etc/seatrial that you changed is kept (the new file lies beside it as *.new).
# State in /var/lib/seatrial is never touched. Environment: as for deploy/stage-tree.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

dry=no uninstall=no root=
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) dry=yes ;;
    --uninstall) uninstall=yes ;;
    --root) root=${2:?--root needs a directory}; root=${root%/}; shift ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "install: unknown option $1; see --help" >&2; exit 2 ;;
  esac
  shift
done
manifest=$root/opt/seatrial/MANIFEST
if [ "$dry" = no ] && [ "$(id -u)" != 0 ]; then
  echo "install: needs root; look first with --dry-run" >&2
  exit 1
fi

run() { # do it, or say it
  if [ "$dry" = yes ]; then echo "would: $*"; else "$@"; fi
}

live() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

active() {
  systemctl list-units --plain --no-legend --state=active,activating,reloading "$@" | cut -d ' ' -f 1
}

stop_instances() { # first what could start something, then every instance in order
  running=
  live || return 0
  local starters cancels
  starters=$(active 'seatriald@*.socket' 'seatrial-*@*.timer')
  running=$(active 'seatriald@*.service')
  cancels=$(active 'seatrial-cancel@*.service' 'seatrial-failure@*.service')
  # shellcheck disable=SC2086 # one word a unit
  [ -z "$starters" ] || run systemctl stop $starters
  # shellcheck disable=SC2086
  [ -z "$running" ] || run systemctl stop $running
  # shellcheck disable=SC2086 # a cancel at the venue that is under way is waited for
  [ -z "$cancels" ] || run systemctl start $cancels || true
  running="$starters $running"
  [ "$running" != " " ] || running=
}

changed_by_you() { # PATH SUM: whether a configuration file is not the one that we installed
  [ -f "$root/$1" ] && [ "$(sha256sum < "$root/$1" | cut -d ' ' -f 1)" != "$2" ]
}

remove_listed() { # every file of a manifest but changed configuration, then empty directories
  local doomed
  doomed=$(mktemp)
  while IFS= read -r line; do
    sum=${line%% *} path=${line#*  }
    case $path in
      etc/*)
        if changed_by_you "$path" "$sum"; then
          echo "kept: $root/$path (you changed it)"
          continue
        fi ;;
    esac
    echo "$path"
  done < "$1" > "$doomed.all"
  grep '^kept: ' "$doomed.all" || true
  grep -v '^kept: ' "$doomed.all" > "$doomed" || true
  if [ "$dry" = yes ]; then
    sed "s,^,would remove: $root/," "$doomed"
  elif [ -s "$doomed" ]; then
    (cd "${root:-/}" && xargs -d '\n' rm -f < "$doomed")
    xargs -d '\n' dirname < "$doomed" | sort -ru | while IFS= read -r directory; do
      while [ "$directory" != . ]; do
        case $directory in etc | usr | lib | opt | usr/lib | usr/share | usr/bin) break ;; esac
        rmdir "$root/$directory" 2> /dev/null || break
        directory=$(dirname "$directory")
      done
    done
  fi
  rm -f "$doomed" "$doomed.all"
}

if [ "$uninstall" = yes ]; then
  if [ ! -f "$manifest" ]; then
    echo "install: nothing to uninstall: $manifest is not there" >&2
    exit 0
  fi
  list=$(mktemp)
  trap 'rm -f "$list"' EXIT
  cp "$manifest" "$list"
  stop_instances
  run rm -f "$manifest"
  remove_listed "$list"
  if live; then run systemctl daemon-reload; fi
  echo "uninstalled; state stays in $root/var/lib/seatrial, and the user seatrial stays"
  exit 0
fi

COMMIT=$(git rev-parse "${COMMIT:-HEAD}^{commit}")
export COMMIT
stage=$(mktemp -d)
list=$stage.list
trap 'rm -rf "$stage" "$stage".*' EXIT
chmod 755 "$stage"
deploy/stage-tree.sh "$stage"
{
  (cd "$stage" && find . -type f -printf '%P\0' | sort -z | xargs -0 sha256sum)
  (cd "$stage" && find . -type l -printf 'link  %P\n' | sort)
} > "$list"
if [ -f "$manifest" ] && cmp -s "$manifest" "$list"; then
  echo "nothing to do: this version is installed"
  exit 0
fi

stop_instances
if [ -f "$manifest" ]; then # files that the new version no longer has
  awk '{ path = substr($0, index($0, "  ") + 2) } NR == FNR { keep[path]; next } !(path in keep)' \
    "$list" "$manifest" > "$stage.old"
  remove_listed "$stage.old"
fi
while IFS= read -r line; do # configuration: what you changed stays
  path=${line#*  }
  case $path in etc/*) ;; *) continue ;; esac
  old=none
  if [ -f "$manifest" ]; then old=$(awk -v p="$path" '$2 == p { print $1 }' "$manifest"); fi
  if changed_by_you "$path" "${old:-none}" && ! cmp -s "$stage/$path" "$root/$path"; then
    echo "kept: $root/$path (you changed it); the new one is $root/$path.new"
    mv "$stage/$path" "$stage/$path.new"
  fi
done < "$list"
if [ "$dry" = yes ]; then
  echo "would install $(wc -l < "$list") files under ${root:-/}, among them:"
  sed 's,^[^ ]*  ,  /,' "$list" | grep -v '^  /opt/seatrial/lib/'
else
  mkdir -p "$root/"
  # tar leaves existing directories and links to directories (/lib) as they are
  tar -C "$stage" -cf - . \
    | tar -C "$root/" --keep-directory-symlink --no-overwrite-dir --no-same-owner -xf -
  cp "$list" "$manifest"
fi
if [ -z "$root" ]; then
  run systemd-sysusers seatrial.conf
  run systemd-tmpfiles --create seatrial.conf
fi
if live; then
  run systemctl daemon-reload
  # shellcheck disable=SC2086 # one word a unit
  [ -z "$running" ] || run systemctl start --no-block $running
fi
if [ "$dry" = yes ]; then
  echo "dry run: nothing was changed"
else
  echo "installed $(wc -l < "$list") files; next: /usr/share/doc/seatrial/RUNBOOK.md"
fi
