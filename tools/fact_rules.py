"""The rule of tidy.py about facts: each has one home in the sources, and others ask there."""

import re

from source_tree import FOLDERS

# (pattern of a line of code, files that may hold it, where the fact lives)
FACTS = (
    (
        r'"(portable|avx2|avx512|avx512_bf16)"',
        r"base/cpu_tiers\.(h|cc)$|kernels/cpu/tiers/tier_\w+\.cc$",
        "names of CPU tiers stand in base/cpu_tiers.h",
    ),
    (
        r"/sys/fs/cgroup|MemAvailable|\bgethostname\b|\bsched_getaffinity\b|hardware_concurrency",
        r"base/host_info\.cc$",
        "cores, memory and names of the host come from base/host_info.h",
    ),
    (
        r"ZMQ_(HEARTBEAT_\w+|SNDHWM|RCVHWM|HANDSHAKE_IVL|RECONNECT_IVL\w*|BACKLOG|LINGER), *[1-9]",
        r"proto/zmq_options\.h$",
        "values of ZeroMQ options stand in proto/zmq_options.h",
    ),
    (
        r"\bmax_(batched_tokens|slots) = \d\d",
        r"model/planner\.h$",
        "defaults of a cluster's limits stand in model/planner.h",
    ),
    (
        r"\bint32_t page_tokens = [1-9]",
        r"kernels/(cpu|cuda)/",
        "the page size is the backend's: it has no default elsewhere",
    ),
)


def one_home(tree, report):
    for file in tree.cpp(*FOLDERS):
        for number, line in enumerate(file.lines, 1):
            code = line.split("//")[0]
            for pattern, home, words in FACTS:
                if re.search(pattern, code) and not re.match(home, file.path):
                    report(file.path, number, words)


RULES = (one_home,)
