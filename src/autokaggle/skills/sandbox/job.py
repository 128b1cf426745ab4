"""One piece of generated code to run; this file says what it is told and under which paths it sees its folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autokaggle.skills.sandbox import gpu
from autokaggle.skills.sandbox.limits import Limits

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Scripts of the folder ``code``, run one after another in one interpreter, and what they may see.

    ``code`` and ``input`` are shown read-only; ``output`` (made when missing) and ``work`` can be written. Without
    ``work`` the job gets an empty folder that is removed afterwards. ``environment`` is a virtual environment's folder;
    without it the scripts run under the interpreter ``python`` (this program's own when None). ``log`` receives
    what the scripts print, replaced at the start. ``variables`` are added to the environment variables. One that
    ``wants_gpu`` is shown the device files of NVIDIA's GPUs, where the machine has any.
    """

    scripts: tuple[str, ...]
    code: Path
    output: Path
    log: Path
    limits: Limits
    input: Path | None = None
    work: Path | None = None
    environment: Path | None = None
    python: Path | None = None
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    wants_gpu: bool = False


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the running code finds its folders: the job's own, or the places where a mount namespace shows them."""

    code: Path
    output: Path
    work: Path
    driver: Path
    input: Path | None = None


DRIVER = Path(__file__).with_name("driver.py")
INSIDE = Layout(
    code=Path("/code"), output=Path("/out"), work=Path("/work"), driver=Path("/driver.py"), input=Path("/in")
)


def variables_of(job: Job, layout: Layout, environment: Path | None) -> dict[str, str]:
    """Return every environment variable of the job: nothing is inherited but which GPU may be used."""
    search = "/usr/local/bin:/usr/bin:/bin"
    variables = {
        "PATH": f"{environment}/bin:{search}" if environment else search,
        "HOME": str(layout.work),
        "TMPDIR": str(layout.work),
        "USER": "autokaggle",
        "LOGNAME": "autokaggle",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONSAFEPATH": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AUTOKAGGLE_OUTPUT": str(layout.output),
    }
    if environment:
        variables["VIRTUAL_ENV"] = str(environment)
    if layout.input:
        variables["AUTOKAGGLE_INPUT"] = str(layout.input)
    variables |= dict.fromkeys(THREAD_VARIABLES, str(job.limits.threads))
    if job.wants_gpu and gpu.CHOICE in os.environ:
        variables[gpu.CHOICE] = os.environ[gpu.CHOICE]
    return {**variables, **job.variables}


def command_of(job: Job, layout: Layout, executable: Path) -> list[str]:
    """Return the interpreter's command line; folders of the job named in an argument become what the code sees."""
    scripts = [str(len(job.scripts)), *job.scripts]
    arguments = [_translate(argument, job, layout) for argument in job.arguments]
    return [str(executable), "-s", str(layout.driver), str(layout.code), *scripts, *arguments]


def _translate(argument: str, job: Job, layout: Layout) -> str:
    shown = [(job.code, layout.code), (job.output, layout.output), (job.input, layout.input), (job.work, layout.work)]
    for real, seen in shown:
        if real and seen and real != seen:
            argument = argument.replace(str(real), str(seen))
    return argument
