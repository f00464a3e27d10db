"""What the mean of a term runs over: one module a unit.

An objective says by the shape of its values that they are one a token [B, T], one a sequence [B] or one a
batch []. Any other unit it declares in its return type, `-> Annotated[Tensor, CHUNK]`.
"""
