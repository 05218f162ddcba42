"""python3 pseudo-terminal.py TYPED REPLY PROGRAM [ARGUMENT ...]: runs a program on a terminal that sends TYPED and REPLY, in which escapes
such as \\x1b stand for themselves, when it is asked for its attributes; prints what the program printed and exits as it does."""
import os
import pty
import sys

typed, reply = (argument.encode().decode("unicode_escape").encode("latin-1") for argument in sys.argv[1:3])
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[3], sys.argv[3:])
printed = b""
asked = False
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    printed += piece
    if not asked and b"\x1b[c" in printed:
        asked = True
        os.write(terminal, typed + reply)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.stdout.buffer.write(printed)
sys.exit(status if status >= 0 else 128 - status)
