"""Why people look, as it is kept: purposes stated, approvals asked for and given."""
