"""Duties of Regulation 799 (国务院令第799号): which video systems there are, and what their owners owe the police."""
