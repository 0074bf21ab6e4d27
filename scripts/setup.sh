# shellcheck shell=bash
# What scripts/run, test, check and bench need before they start; read with `source`, never run.
#
# Every step first looks whether it is done, which takes a few milliseconds, and says in one line what it does if not.
# Progress goes to standard error, so that standard output holds only what the command itself prints.
# Written for bash 3.2, which macOS has. Needs `root`, the folder of the checkout.

venv="${root:?}/.venv"
python="$venv/bin/python"

say() { printf '%s\n' "chengtu: $*" >&2; }

die() {
    say "$@"
    exit 1
}

# Run a command quietly; show the end of what it said if it fails.
quietly() {
    local output
    if ! output="$("$@" 2>&1 </dev/null)"; then
        printf '%s\n' "$output" | tail -n 25 >&2
        return 1
    fi
}

is_root_with_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

package_list_is_new=
renew_package_list() {
    if [ -z "$package_list_is_new" ]; then
        quietly apt-get update -qq || say "The list of system packages could not be renewed; trying with the old one."
        package_list_is_new=yes
    fi
}

# apt_install PACKAGE...: install system packages; only for root on Debian or Ubuntu.
apt_install() {
    renew_package_list
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

# ---- Python and its packages

# Print the first interpreter that is recent enough and able to make virtual environments.
find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11 python3.14 python; do
        if "$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    return 1
}

make_venv() {
    local base
    if ! base="$(find_python)"; then
        if is_root_with_apt; then
            say "Installing Python with apt (about 20 seconds) ..."
            apt_install python3 python3-venv || true
        fi
        base="$(find_python)" || die "Python 3.11 or newer with its venv module is needed." \
            "On Debian or Ubuntu type: sudo apt-get install -y python3 python3-venv"
    fi
    say "Making the virtual environment .venv with $base ..."
    quietly "$base" -m venv --clear "$venv" || die "The virtual environment could not be made."
}

# packages [EXTRA]: the product and the pinned packages it needs, in .venv; again only when their list has changed.
packages() {
    local extra="${1:-}" wanted
    wanted="$root $(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum)"
    if are_installed "$extra" "$wanted"; then
        return
    fi
    # Two first starts at once must not install into one folder; the lock ends with this subshell.
    (
        if command -v flock >/dev/null; then
            exec 9<"$root/pyproject.toml"
            flock 9
        fi
        if are_installed "$extra" "$wanted"; then
            exit
        fi
        "$python" -c 'import pip' 2>/dev/null || make_venv
        say "Installing the Python packages${extra:+ for $extra} into .venv (1 to 3 minutes the first time) ..."
        cd -- "$root" || exit
        quietly "$python" -m pip install --disable-pip-version-check --quiet \
            -c constraints.txt -e ".${extra:+[$extra]}" ||
            die "The Python packages could not be installed: see above."
        printf '%s\n' "$wanted" >"$venv/.installed${extra:+-$extra}"
    )
}

# are_installed EXTRA WANTED: whether pip has finished with just this list; any extra holds what no extra needs.
are_installed() {
    local stamp
    [ -x "$python" ] || return 1
    for stamp in "$venv/.installed${1:+-$1}"*; do
        if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$2" ]; then
            return
        fi
    done
    return 1
}

# ---- programs of the system

# PostgreSQL with PostGIS, unless DATABASE_URL names a server. gis_core.cluster.postgres decides what is good enough.
postgis() {
    local stamp="$venv/.postgis" package refusal
    if [ -n "${DATABASE_URL:-}" ] || { [ -f "$stamp" ] && [ -x "$(cat "$stamp")/postgres" ]; }; then
        return
    fi
    if ! search_postgis 2>/dev/null && is_root_with_apt; then
        say "Installing PostgreSQL with PostGIS with apt (about a minute) ..."
        renew_package_list
        package="$(apt-cache search --names-only '^postgresql-[0-9]+-postgis-3$' | sort -V | tail -n 1 | cut -d ' ' -f 1)"
        without_system_cluster apt_install "${package:-postgresql-postgis}" || true
    fi
    refusal="$(search_postgis 2>&1)" || die "$refusal"
}

# Note where the server lies, or print why there is none.
search_postgis() {
    "$python" - "$venv/.postgis" <<'END'
import sys
from pathlib import Path

from gis_core.errors import CityError
from gis_core.cluster.postgres import find_server

try:
    Path(sys.argv[1]).write_text(f"{find_server().bin}\n", encoding="utf-8")
except CityError as error:
    sys.exit(error.detail)
END
}

# Debian makes and starts a cluster of its own with the package, which nobody asked for here.
without_system_cluster() {
    local folder=/etc/postgresql-common/createcluster.d status=0
    mkdir -p "$folder"
    printf 'create_main_cluster = false\n' >"$folder/chengtu.conf"
    "$@" || status=$?
    rm -f "$folder/chengtu.conf"
    return $status
}

# program COMMAND PACKAGE WHAT_FOR: a program that only tests or benchmarks call.
program() {
    if command -v "$1" >/dev/null; then
        return
    fi
    if is_root_with_apt; then
        say "Installing $2 with apt for $3 (about a minute) ..."
        apt_install "$2" || true
    fi
    command -v "$1" >/dev/null || { say "$1 is missing for $3. Type: sudo apt-get install -y $2" && return 1; }
}

browser() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        if command -v "$name" >/dev/null; then
            return
        fi
    done
    program chromium chromium "the tests in a browser" || exit 1
}

# Without them a screenshot shows boxes for Chinese names.
chinese_fonts() {
    local stamp="$venv/.fonts"
    if [ -f "$stamp" ]; then
        return
    fi
    if ! command -v fc-list >/dev/null || [ -z "$(fc-list :lang=zh-cn file)" ]; then
        if is_root_with_apt; then
            say "Installing Chinese fonts with apt for the tests in a browser (about a minute) ..."
            apt_install fontconfig fonts-noto-cjk || die "The fonts could not be installed: see above."
        else
            die "A Chinese font is missing for the tests in a browser. Type: sudo apt-get install -y fonts-noto-cjk"
        fi
    fi
    touch "$stamp"
}

# The browser's part. Without it the server still answers, and its front page says what is missing.
client() {
    if [ -x "$root/scripts/build_client" ]; then
        "$root/scripts/build_client" >&2 || say "The map page could not be built; everything else works."
    fi
}
