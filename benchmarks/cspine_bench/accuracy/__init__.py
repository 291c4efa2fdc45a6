"""The accuracy verdict: a candidate against FP32 on the same cases."""
