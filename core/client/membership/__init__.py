"""Being a member of a consumer group."""
