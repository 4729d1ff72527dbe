"""Questions for the offline explorer, each with facts that a right answer holds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COMPANY", "PROV", "SCHEMA", "SKOS", "SOSA", "Asked"]


@dataclass(frozen=True)
class Asked:
    """A question and what its answer must hold; facts from the specifications, not from runs.

    Attributes:
        question: As a user would type it.
        names: Local names of all entities that the rows of the answer's query must name, and
            that the answer must name; None when the answer is no such list.
        says: Texts that must occur in the answer.
        number: The first number of the answer.
        absent: True when the answer must be that it was not found.
    """

    question: str
    names: str | None = None
    says: tuple[str, ...] = ()
    number: int | None = None
    absent: bool = False


PROV = (
    Asked("What is Activity?", says=("Activity (prov:Activity) is a class", "goes on for a while")),
    Asked('Define "primary source".', says=("PrimarySource (prov:PrimarySource) is a class",)),
    Asked("What does wasInformedBy mean?", says=("wasInformedBy (prov:wasInformedBy)", "activity")),
    Asked("Please tell me about delegation.", says=("Delegation (prov:Delegation) is a class",)),
    Asked("What are the subclasses of Agent?", "Organization Person SoftwareAgent", number=3),
    Asked(
        "List all subclasses of prov:Entity",
        "Bundle Collection EmptyCollection Plan",
        ("4 direct or indirect subclasses",),
    ),
    Asked("Which classes inherit from Collection?", "EmptyCollection"),
    Asked("How many subclasses does EntityInfluence have?", says=("Derivation", "Usage"), number=4),
    Asked("What is Bundle a subclass of?", "Entity", ("1 direct superclass",)),
    Asked("What are the superclasses of SoftwareAgent?", "Agent"),
    Asked(
        "What are the subproperties of wasDerivedFrom?",
        "hadPrimarySource wasQuotedFrom wasRevisionOf",
    ),
    Asked("What is wasRevisionOf a subproperty of?", "wasDerivedFrom"),
    Asked("Which properties have Plan as range?", "hadPlan", ("Plan (prov:Plan) is the range of",)),
    Asked("Which properties does Delegation have?", "hadActivity agent hadRole influencer"),
    Asked("What is the domain of wasGeneratedBy?", "Entity"),
    Asked("What is the range of prov:atTime?", says=("xsd:dateTime",)),
    Asked("What are the domain and range of actedOnBehalfOf?", "Agent"),
    Asked("What is the inverse of wasGeneratedBy?", "generated"),
    Asked("Does hadMember have an inverse?", "", ("no inverses",)),
    Asked("Which classes are disjoint with Entity?", "Activity InstantaneousEvent"),
    Asked("Is Person a subclass of Agent?", says=("Yes",)),
    Asked("Is Agent a subclass of Person?", says=("No",)),
    Asked("Is Entity disjoint with Activity?", says=("Yes",)),
    Asked("Is wasGeneratedBy an object property?", says=("Yes",)),
    Asked("What kind of thing is startedAtTime?", says=("owl:DatatypeProperty",)),
    Asked(
        "Which properties link Entity to Activity?",
        says=("wasGeneratedBy", "wasInvalidatedBy", "used", "owl:disjointWith"),
    ),
    Asked("How many classes are there?", says=("Activity", "Agent"), number=30),
    Asked("How many object properties does this ontology have?", number=44),
    Asked("What is the label of prov:used?", says=("is called used",)),
    Asked("What is this ontology about?", says=("PROV-O",)),
    Asked("what is an actvity", says=("Activity (prov:Activity) is a class", "“actvity”")),
    Asked("What is a unicorn?", absent=True),
    Asked("What are the subclasses of Spaceship?", absent=True),
    Asked("What is the inverse of isMarriedTo?", absent=True),
    Asked("Which activities did Zaphod Beeblebrox start?", absent=True),
)

SKOS = (
    Asked("What is a concept?", says=("Concept (skos:Concept) is a class", "unit of thought")),
    Asked("What is the preferred label?", says=("preferred lexical label",)),
    Asked("What is the inverse of broader?", "narrower"),
    Asked(
        "What are the subproperties of mappingRelation?",
        "closeMatch broadMatch narrowMatch relatedMatch",
        number=4,
    ),
    Asked("What are the superproperties of broader?", "broaderTransitive"),
    Asked("What is the domain of hasTopConcept?", "ConceptScheme"),
    Asked("What is the range of hasTopConcept?", "Concept"),
    Asked("What are the domain and range of inScheme?", "ConceptScheme", ("No domain is stated",)),
    Asked("What is the range of skos:member?", "Concept Collection"),
    Asked("What are the subclasses of Collection?", "OrderedCollection"),
    Asked("Which classes are disjoint with Concept?", "Collection ConceptScheme"),
    Asked("Which classes is Ordered Collection disjoint with?", "Concept ConceptScheme"),
    Asked("List all classes", "Collection Concept ConceptScheme OrderedCollection", number=4),
    Asked("How many properties are there?", number=28),
    Asked("Is broaderTransitive a transitive property?", says=("Yes",)),
    Asked("Is skos:broader a transitive property?", says=("No",)),
    Asked("Is Ordered Collection a subclass of Collection?", says=("Yes",)),
    Asked("Which properties does Concept Scheme have?", "hasTopConcept"),
    Asked("What is a thesaurus?", absent=True),
)

SOSA = (
    Asked("What is a sensor?", says=("Sensor (sosa:Sensor) is a class", "respond to a stimulus")),
    Asked("Define feature of interest", says=("FeatureOfInterest", "property is being estimated")),
    Asked(
        "What does resultTime mean?", says=("(sosa:resultTime) is a property", "instant of time")
    ),
    Asked("What is the inverse of madeBySensor?", "madeObservation"),
    Asked("What is the domain of madeBySensor?", "Observation"),
    Asked(
        "What are the domain and range of hasFeatureOfInterest?",
        "Actuation Observation Sampling FeatureOfInterest Sample",
    ),
    Asked("Which properties can be used with Platform?", "hosts isHostedBy"),
    Asked("Which properties have Sensor as their range?", "hosts isObservedBy madeBySensor"),
    Asked("How are Sensor and Observation related?", "madeBySensor madeObservation"),
    Asked("Which properties link Platform and Sensor?", "hosts isHostedBy"),
    Asked("What kind of property is phenomenonTime?", says=("owl:ObjectProperty",)),
    Asked("What datatype properties are there?", "hasSimpleResult resultTime", number=2),
    Asked("How many object properties are there?", number=21),
    Asked("How many classes does this vocabulary have?", says=("sosa:Actuation",), number=16),
    Asked("What are the subclasses of Sampler?", "", ("no direct subclasses",)),
    Asked("What is a telescope?", absent=True),
)

SCHEMA = (
    Asked("What is a restaurant?", says=("A restaurant.",)),
    Asked("What are the superclasses of Restaurant?", "FoodEstablishment"),
    Asked("What is the domain of birthDate?", "Person"),
    Asked("What is the range of author?", "Organization Person"),
    Asked("What is the inverse of alumni?", "alumniOf"),
    Asked("Is Hotel a subclass of Place?", says=("Yes",)),
    Asked("What does worksFor mean?", says=("Organizations that the person works for",)),
    Asked(
        "What are the instances of DayOfWeek?",
        "Friday Monday PublicHolidays Saturday Sunday Thursday Tuesday Wednesday",
    ),
    Asked("What are the subproperties of location?", says=("foodEvent",)),
    Asked("What is a dragon?", absent=True),
)

COMPANY = (
    Asked("How many departments are there?", number=8),
    Asked("How many people work in Finance?", number=8),
    Asked("Who works in the department Support?", says=("Anna Weber", "“works in”")),
    Asked("How many employees does the Finance department have?", number=8),
    Asked("How many persons are there?", number=108),
    Asked("Who are the consultants?", "C-01 C-02 C-03"),
    Asked("Which departments are located in Berlin?", "Engineering Research"),
    Asked("Where is the Research department located?", says=("Berlin (id:Berlin)",)),
    Asked("What is the job title of Ingrid Solberg?", says=("Chief Executive",)),
    Asked("What is Ingrid Solberg's e-mail?", says=("ingrid.solberg@example.org",)),
    Asked("Who is the manager of the employee with id E-0042?", says=("Jonas Novak",)),
    Asked("Who manages Katarina Lindquist?", says=("Olga Vogel", "Katharina Lindqvist")),
    Asked("In which department does Anna Weber work?", "Marketing Support"),
    Asked("Which employees of the Research department know SPARQL?", "E-0104 E-0096"),
    Asked("How many lamps do we have?", number=16),
    Asked("What is Product called in German?", says=("Produkt",)),
    Asked("What is Atlas?", says=("Atlas Logistics", "Monitor Atlas")),
    Asked("Is Ingrid Solberg an employee?", says=("Yes",)),
    Asked("Who is Ingrid Solberg's manager?", says=("No “manager”",)),
    Asked("What is the salary of Ingrid Solberg?", absent=True),
    Asked("Which products does Zephyr Robotics supply?", absent=True),
)
