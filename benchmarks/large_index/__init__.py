"""An index of half a million chunks with the neighbourhoods of real ones, made once for several benchmarks.

There is no such corpus with licence and judgements to be had here, so real passages are varied: a part of a
page takes most sentences of one passage and some of a similar one, and its vector is the same mixture of
their two vectors, which the real model made, with noise. All else is the product's: pages are Markdown files
with their access in the front matter, and its own stages list, parse, cut and publish them.
"""
