"""Runs a program and ends it with SIGKILL at the entry of the N-th system call of one kind, whichever thread makes it:
the call itself does not happen. Without a kind it counts them.

    tracer.py COUNTS              program ...    writes a line "KIND NUMBER" for each kind, once the program has ended
    tracer.py KIND N              program ...    says on the last line of stdout where the program ended

strace's `inject=...:signal=KILL:when=N` counts in each thread for itself, so that a thread's calls hide those of slower
threads. Ends with the program's status, with 137 after the kill, or with 99 when the machine does not let itself be traced.
"""

import ctypes
import os
import signal
import struct
import sys

NUMBERS = {
    "x86_64": {
        1: "write", 18: "pwrite64", 20: "writev", 42: "connect", 44: "sendto", 46: "sendmsg", 74: "fsync",
        75: "fdatasync", 77: "ftruncate", 82: "rename", 83: "mkdir", 87: "unlink", 257: "openat", 258: "mkdirat",
        263: "unlinkat", 264: "renameat", 277: "sync_file_range", 316: "renameat2",
    },
    "aarch64": {
        34: "mkdirat", 35: "unlinkat", 38: "renameat", 46: "ftruncate", 56: "openat", 64: "write", 66: "writev",
        68: "pwrite64", 82: "fsync", 83: "fdatasync", 84: "sync_file_range", 203: "connect", 206: "sendto",
        211: "sendmsg", 276: "renameat2",
    },
}
TRACEME, CONT_SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
SYSGOOD, CLONE, EXEC, EXITKILL, WALL = 1, 8, 0x10, 0x100000, 0x40000000
CREATE = os.O_CREAT
# Seconds after which tracer and program end, whatever they wait for.
PATIENCE = 120

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def where(tid, fd):
    try:
        return os.readlink(f"/proc/{tid}/fd/{fd}")
    except OSError:
        return "?"


def kind_of(tid, number, args, names):
    """What the call counts as; nothing for calls that change nothing outside the process."""
    kind = names.get(number)
    if kind == "openat" and not args[2] & CREATE:
        return None
    if kind in ("write", "writev") and (args[0] in (1, 2) or where(tid, args[0]).startswith("anon_inode")):
        return None
    return kind


def main():
    signal.alarm(PATIENCE)
    names = NUMBERS.get(os.uname().machine)
    counting = sys.argv[1] == "COUNTS"
    wanted, when = (None, 0) if counting else (sys.argv[1], int(sys.argv[2]))
    program = sys.argv[2:] if counting else sys.argv[3:]
    child = os.fork()
    if child == 0:
        if libc.ptrace(TRACEME, 0, None, None) != 0:
            os._exit(99)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(program[0], program)
    _, status = os.waitpid(child, WALL)
    if names is None or not os.WIFSTOPPED(status):
        os.kill(child, signal.SIGKILL)
        sys.exit(99)
    if libc.ptrace(SETOPTIONS, child, None, SYSGOOD | CLONE | EXEC | EXITKILL) != 0:
        os.kill(child, signal.SIGKILL)
        sys.exit(99)
    libc.ptrace(CONT_SYSCALL, child, None, None)
    counts, known = {}, {child}
    info = ctypes.create_string_buffer(128)
    while True:
        tid, status = os.waitpid(-1, WALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if tid != child:
                continue
            if counting:
                print("\n".join(f"{kind} {number}" for kind, number in sorted(counts.items())))
            sys.exit(os.waitstatus_to_exitcode(status) % 256)
        stop, deliver = os.WSTOPSIG(status), 0
        if stop == signal.SIGTRAP | 0x80:
            libc.ptrace(GET_SYSCALL_INFO, tid, 128, ctypes.addressof(info))
            # struct ptrace_syscall_info: op, pad, arch, instruction and stack pointer, then number and arguments.
            if info.raw[0] == 1:
                number, *args = struct.unpack_from("=7Q", info.raw, 24)
                kind = kind_of(tid, number, args, names)
                if kind:
                    counts[kind] = counts.get(kind, 0) + 1
                if kind and kind == wanted and counts[kind] == when:
                    thread = open(f"/proc/{tid}/comm").read().strip()
                    target = where(tid, args[0]) if args[0] < 1 << 16 else ""
                    os.kill(child, signal.SIGKILL)
                    print(f"killed in {thread} {target}")
                    sys.stdout.flush()
                    # The process is gone only when each of its threads was waited for.
                    while os.waitpid(-1, WALL)[0] != child:
                        pass
                    sys.exit(137)
        elif status >> 16 == 0 and not (stop == signal.SIGSTOP and tid not in known):
            deliver = stop
        known.add(tid)
        libc.ptrace(CONT_SYSCALL, tid, None, deliver)


main()
