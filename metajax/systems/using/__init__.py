"""Trained runs on a person's own data: loaded, adapted to a file's or an array's examples, asked.

It stands above the contract of the families and below the families, whose ``Use`` is made from it.
``predicting``, the command ``metajax predict``, stands above them.
"""
