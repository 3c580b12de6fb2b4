"""Names and posts from which the seed draws the people of contoso.com."""

GIVEN_NAMES = (
    "Adele Alex Amara Anders Anneke Arjun Astrid Aylin Bashir Bianca Camille Carlos Chiara Dalia Daniel Dario Deepa "
    "Dmitri Eero Elif Emeka Emil Esther Fatima Felix Femi Freya Gabriel Grady Greta Hanna Hiro Ida Imran Ines Isaiah "
    "Ivana Jakob Joanna Johan Jonas Kaito Karim Katja Kofi Lara Leila Lena Lidia Linnea Luca Lynne Magnus Maja Marta "
    "Megan Miguel Miriam Nadia Nestor Nia Noor Olga Omar Patti Pedro Petra Priya Quentin Rania Rosa Ruth Samir Sanjay "
    "Selin Simone Sofia Stefan Tariq Thea Tomas Uma Valeria Vera Viktor Wanda Yara Yusuf Zoe"
)

SURNAMES = (
    "Abbasi Achterberg Adeyemi Andersson Baker Banerjee Bauer Becker Bianchi Bowen Brandt Castillo Chandra Cohen "
    "Conte Cruz Dahl Davies Dubois Eklund Engel Fernandes Fischer Fontaine Garcia Ghosh Gruber Haddad Hansen Hartmann "
    "Hoffmann Holm Ibrahim Ito Jensen Johansson Kaya Keller Khan Kimura Klein Kovacs Kumar Lambert Larsen Lehmann "
    "Lindqvist Lopez Lund Maier Marino Martin Mensah Meyer Moreau Moretti Mueller Nakamura Navarro Nguyen Nilsson "
    "Novak Okafor Olsen Ortega Owens Papadopoulos Park Patel Pereira Petrov Quist Rahman Ricci Rossi Rowe Sato "
    "Schneider Schultz Sharma Silva Simon Singh Sorensen Suzuki Tanaka Thomsen Torres Usman Vance Vogel Wagner Weber "
    "Wilber Winkler Yilmaz Young Zhang Zimmermann"
)

POSTS = {
    "Sales": ("Account Executive", "Sales Engineer", "Regional Sales Manager", "Inside Sales Representative"),
    "Engineering": ("Software Engineer", "Senior Software Engineer", "Quality Engineer", "Engineering Manager"),
    "Finance": ("Accountant", "Financial Analyst", "Payroll Specialist", "Controller"),
    "Human Resources": ("HR Business Partner", "Recruiter", "HR Administrator"),
    "Marketing": ("Content Editor", "Campaign Manager", "Product Marketing Manager"),
    "Legal": ("Counsel", "Contract Manager", "Compliance Officer"),
    "Customer Support": ("Support Specialist", "Support Engineer", "Support Team Lead"),
    "Information Technology": ("Identity Engineer", "Systems Administrator", "IT Service Manager"),
}

OFFICES = ("Zurich", "Copenhagen", "Lisbon", "Singapore", "Toronto")
