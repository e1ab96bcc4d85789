"""Training of the bundled picker."""
