"""`python -m evidence.gates COMMAND`: the gates without the operator's tool."""

from evidence.gates.gate_commands import gate_group

if __name__ == "__main__":
    gate_group(prog_name="python -m evidence.gates")
