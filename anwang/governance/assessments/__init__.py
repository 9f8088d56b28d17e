"""Impact assessments of personal information: why a system is needed, what may come of it, who approved, until when."""
