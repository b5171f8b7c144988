"""What is asked of the operating system: routes, netlink, kinds of links, how a socket is tied.
One file for each system and question; `system_routes.py` chooses by the name of the system.
"""
