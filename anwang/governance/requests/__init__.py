"""What people ask of those who keep recordings: to be shown some (Regulation 799 art. 18 to 22), and complaints."""
