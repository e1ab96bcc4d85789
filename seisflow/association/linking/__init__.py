"""Association by a network that says which picks belong to the event of a root pick.

Apart from the methods, so that listing them imports neither torch nor the compiler: windows of picks, their
features, the network, its weights and what they are for, its predictions, and how these become events.
"""
