"""Wheels from an index of Python packages, beside those of channels."""

import json
import subprocess
import zipfile

from building import ENV


def wheel(folder, name, version, requires=()):
    stem = f"{name}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as z:
        files = {f"{name}.py": f"def main():\n    print('{name} {version}')\n",
                 f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(f"Requires-Dist: {r}\n" for r in requires),
                 f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                 f"{stem}.dist-info/entry_points.txt": f"[console_scripts]\n{name}-say = {name}:main\n"}
        files[f"{stem}.dist-info/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{stem}.dist-info/RECORD"])
        for path, content in files.items():
            z.writestr(path, content)


def test_pip_section_installs_locked_wheels(install, solve, tmp_path, monkeypatch):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel(wheels, "wheely", "1.5", ["helper>=1", "numpy"])
    wheel(wheels, "helper", "2.0")
    wheel(wheels, "numpy", "2.4.6")  # conda's is taken instead
    monkeypatch.setitem(ENV, "PIP_NO_INDEX", "1")
    extra = f"  - pip:\n    - --find-links {wheels}\n    - wheely\n"
    lock = json.loads(solve("python", "numpy", extra=extra)["lock"])
    assert [(p["name"], p["version"]) for p in lock["pip"]] == [("helper", "2.0"), ("wheely", "1.5")]
    prefix, _ = install("python", "numpy", extra=extra)
    assert subprocess.run([prefix / "bin" / "wheely-say"], capture_output=True, text=True, check=True).stdout == "wheely 1.5\n"
    assert "needs python" in solve("libdemo", extra=extra, code=1)["message"]
    missing = solve("python", extra=f"  - pip:\n    - --find-links {wheels}\n    - no-such-thing\n", code=1)["message"]
    assert "cannot be solved" in missing and "no-such-thing" in missing
