"""What `cmake --install` puts in place: run by ctest as installed.py BUILD_DIR Installed.test_NAME."""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
UNITS = ("berthd.service", "berth-keeper.service", "berth-keeper.socket")
# `systemd-analyze security` in tenths (0 is locked up, 100 is open): a unit that gets worse than it is now fails.
MOST_EXPOSED = {"berthd.service": 17, "berth-keeper.service": 23}


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, **options)
    return done.returncode, done.stdout + done.stderr


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="berth-install."))
        code, said = run("cmake", "--install", BUILD, "--prefix", "/usr", env={**os.environ, "DESTDIR": str(cls.root)})
        assert code == 0, said

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.root)

    def test_tree(self):
        """Programs, units, settings, documents and completion are where the units and the defaults look for them."""
        for path in ("usr/sbin/berthd", "usr/sbin/berth-keeper", "usr/bin/berth", "usr/libexec/berth/berth-agent"):
            mode = (self.root / path).stat().st_mode
            self.assertEqual(stat.S_IMODE(mode), 0o755, path)
        for path in ("usr/lib/sysusers.d/berth.conf", "usr/lib/tmpfiles.d/berth.conf", "usr/share/berth/berth.example.toml",
                     "usr/share/berth/keeper.example.toml", "usr/share/berth/images/default/build", "usr/share/doc/berth/LICENSE",
                     "usr/share/doc/berth/NOTICE", "usr/share/doc/berth/admin.md", "usr/share/bash-completion/completions/berth"):
            self.assertTrue((self.root / path).stat().st_size > 0, path)
        for unit in UNITS:
            self.assertTrue((self.root / "usr/lib/systemd/system" / unit).is_file(), unit)
        if (SOURCE / "web/ui/dist/index.html").exists():
            self.assertTrue((self.root / "usr/share/berth/ui/index.html").is_file())
        # Nothing outside the prefix: what belongs in /etc, /var and /run is made by tmpfiles.d.
        self.assertEqual([entry.name for entry in self.root.iterdir()], ["usr"])

    def test_no_build_paths(self):
        """No installed text names the folder it was built in."""
        for path in self.root.rglob("*"):
            if path.suffix in (".service", ".socket", ".conf", ".toml", ".md") or path.parent.name == "completions":
                self.assertNotIn(str(SOURCE), path.read_text(), path)
                self.assertNotRegex(path.read_text(), r"@BERTH_\w+@", path)

    def test_settings_are_accepted(self):
        """The example settings, which become the first settings, pass the programs' own checks and name installed places."""
        code, said = run(self.root / "usr/sbin/berthd", "--check-config", "--config", self.root / "usr/share/berth/berth.example.toml")
        self.assertEqual(code, 0, said)
        text = (self.root / "usr/share/berth/keeper.example.toml").read_text()
        agent = re.search(r'^agent = "(.*)"$', text, re.M)[1]
        self.assertTrue((self.root / agent.lstrip("/")).is_file(), agent)
        text = (self.root / "usr/share/berth/berth.example.toml").read_text()
        self.assertEqual(re.search(r'^ui_dir = "(.*)"$', text, re.M)[1], "/usr/share/berth/ui")

    def staged_units(self):
        """The installed units in a folder of their own, naming the staged programs."""
        folder = self.root / "units"
        folder.mkdir(exist_ok=True)
        self.addCleanup(shutil.rmtree, folder, True)
        for unit in UNITS:
            text = (self.root / "usr/lib/systemd/system" / unit).read_text()
            (folder / unit).write_text(re.sub(r"^(Exec\w+=)/usr", rf"\1{self.root}/usr", text, flags=re.M))
        return folder

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_units_verify(self):
        """systemd-analyze verify has nothing to say of the units."""
        folder = self.staged_units()
        code, said = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *(folder / unit for unit in UNITS),
                         env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"})
        self.assertEqual((code, said.strip()), (0, ""))

    @unittest.skipUnless(shutil.which("systemd-analyze"), "needs systemd-analyze")
    def test_units_are_hardened(self):
        """Neither service is more exposed than it has to be."""
        folder = self.staged_units()
        for unit, most in MOST_EXPOSED.items():
            code, said = run("systemd-analyze", "security", "--offline=true", f"--threshold={most}", folder / unit)
            self.assertEqual(code, 0, f"{unit}\n" + "\n".join(line for line in said.splitlines() if not line.startswith("✓")))

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("systemd-sysusers") and shutil.which("systemd-tmpfiles"), "needs root and systemd")
    def test_user_and_folders(self):
        """sysusers and tmpfiles make the user, the folders with their owners, and the first settings; twice changes nothing."""
        (self.root / "etc").mkdir(exist_ok=True)
        for folder in ("etc", "var", "run"):
            self.addCleanup(shutil.rmtree, self.root / folder, True)
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (self.root / "etc/group").write_text("root:x:0:\n")
        code, said = run("systemd-sysusers", f"--root={self.root}", self.root / "usr/lib/sysusers.d/berth.conf")
        self.assertEqual(code, 0, said)
        passwd = dict(line.split(":", 1) for line in (self.root / "etc/passwd").read_text().splitlines())
        self.assertTrue(passwd["berth"].endswith(":/var/lib/berth:/usr/sbin/nologin"), passwd)
        berth = int(passwd["berth"].split(":")[2])
        for _ in range(2):
            code, said = run("systemd-tmpfiles", "--create", f"--root={self.root}", self.root / "usr/lib/tmpfiles.d/berth.conf")
            self.assertEqual(code, 0, said)
            # Whoever can write in a parent of `homes` or `agents` without the sticky bit could replace what root mounts from.
            for path, mode, group in (("var/lib/berth", 0o1770, berth), ("var/lib/berth/homes", 0o711, 0), ("run/berth", 0o1775, berth),
                                      ("run/berth/agents", 0o711, 0)):
                seen = (self.root / path).stat()
                self.assertEqual((stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid), (mode, 0, group), path)
            settings = self.root / "etc/berth/keeper.toml"
            if _ == 0:
                settings.write_text("# changed\n")
        self.assertEqual(settings.read_text(), "# changed\n")

    def test_completion(self):
        """The completion script completes nouns, verbs, options and what berthd knows."""
        script = f"source {self.root}/usr/share/bash-completion/completions/berth\n" + r"""
            berth() { case "$*" in *'completion words users') echo 'ada bob' ;; *fingerprints) echo 'SHA256:abc SHA256:xyz' ;; esac; }
            try() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _berth; echo "${COMPREPLY[*]}"; }
            try berth wo
            try berth session ''
            try berth user show b
            try berth --admin-socket /x key add a
            try berth key revoke SHA256:x
            try berth session list --al
            try berth session list --user b
            """
        code, said = run("bash", "-euc", script)
        self.assertEqual(code, 0, said)
        self.assertEqual(said.splitlines(), ["workspace", "list kill", "bob", "ada", "SHA256:xyz", "--all", "bob"])


if __name__ == "__main__":
    unittest.main()
