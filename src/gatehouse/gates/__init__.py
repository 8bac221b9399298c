"""What no model passes unless it is compliant, provably not worse than the champion, and approved by a person."""
