"""What admins ask and change."""
