"""Incidents with personal information (PIPL article 57; domain.md G23): what happened, who was told, and when."""
