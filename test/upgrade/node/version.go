package main

// version is the program's, as nodes tell each other and users.
const version = "N"
